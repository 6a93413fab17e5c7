// One file is taken out of a ZIP archive, packed or not, and an archive without it is refused.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { cacheDirectory } from '../../tools/setup/cache.js';
import { extractFromZip } from '../../tools/setup/zip.js';

interface Entry {
  readonly name: string;
  readonly content: string;
  readonly packed: boolean;
}

/**
 * An archive as APPNOTE 4.3 lays it out: local headers with data, central directory, end record.
 */
function zipOf(entries: readonly Entry[]): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let offset = 0;
  for (const { name, content, packed } of entries) {
    const data = packed ? deflateRawSync(content) : Buffer.from(content);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(4, 28);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(packed ? 8 : 0, 10);
    central.writeUInt32LE(data.length, 20);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE(offset, 42);
    const whole = Buffer.concat([local, Buffer.from(name), Buffer.alloc(4), data]);
    locals.push(whole);
    centrals.push(Buffer.concat([central, Buffer.from(name)]));
    offset += whole.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...centrals, end]);
}

describe('a ZIP archive', () => {
  const zip = zipOf([
    { name: 'a/one', content: 'stored', packed: false },
    { name: 'a/two', content: 'packed '.repeat(50), packed: true },
  ]);

  test('gives one file, packed or stored', () => {
    assert.equal(extractFromZip(zip, 'a/one').toString(), 'stored');
    assert.equal(extractFromZip(zip, 'a/two').toString(), 'packed '.repeat(50));
  });

  test('without the file, or no archive at all, is refused with a way out', () => {
    for (const bad of [zip, Buffer.from('no archive'), Buffer.alloc(0)]) {
      assert.throws(() => extractFromZip(bad, 'a/three'), {
        message: /holds no a\/three\n {2}- remove the cache directory/,
      });
    }
  });
});

describe('the cache directory', () => {
  test('is the one named, else in the cache directory of the user', () => {
    assert.equal(cacheDirectory({ BULWARK_CACHE: '/x', XDG_CACHE_HOME: '/y' }), '/x');
    assert.equal(cacheDirectory({ XDG_CACHE_HOME: '/y' }), '/y/bulwark');
    assert.match(cacheDirectory({}), /bulwark$/);
  });
});
