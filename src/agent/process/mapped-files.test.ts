// Only what the kernel can read again from the file is given back: anything else would be lost.
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { describe, it } from 'node:test';
import { unchangedMappings } from '#agent/process/mapped-files.ts';

const PROGRAM = '/opt/node';
const AMOUNTS = { Rss: 40, Anonymous: 0, Swap: 0, Locked: 0 };
const TEXT = '00400000-00404000 r-xp 00001000 fe:00 42';

function entry(header: string, amounts: Readonly<Record<string, number>> = {}): string {
  const lines = Object.entries({ ...AMOUNTS, ...amounts }).map(
    ([name, kilobytes]) => `${name}:${String(kilobytes).padStart(20)} kB`,
  );
  return [header, ...lines, 'VmFlags: rd ex mr mw me', ''].join('\n');
}

describe('the mappings that can be given back', () => {
  it('are those of the program that nobody changed', () => {
    const data = '7f0000400000-7f0000402000 r--p 00000000 fe:00 42';
    const smaps = entry(`${TEXT}    ${PROGRAM}`) + entry(`${data}    ${PROGRAM}`);
    assert.deepEqual(unchangedMappings(smaps, PROGRAM), [
      { address: 0x400000, bytes: 0x4000 },
      { address: 0x7f0000400000, bytes: 0x2000 },
    ]);
  });

  for (const [what, smaps] of [
    ['that was written to', entry(`${TEXT} ${PROGRAM}`, { Anonymous: 4 })],
    ['whose changes are in swap', entry(`${TEXT} ${PROGRAM}`, { Swap: 4 })],
    ['that is locked', entry(`${TEXT} ${PROGRAM}`, { Locked: 4 })],
    ['that can be written to', entry(`${TEXT.replace('r-xp', 'rw-p')} ${PROGRAM}`)],
    ['that is shared', entry(`${TEXT.replace('r-xp', 'r--s')} ${PROGRAM}`)],
    ['that cannot be read', entry(`${TEXT.replace('r-xp', '---p')} ${PROGRAM}`)],
    ['of another file', entry(`${TEXT} /usr/lib/libc.so.6`)],
    ['of a file that was replaced', entry(`${TEXT} ${PROGRAM} (deleted)`)],
    ['of no file', entry(TEXT.replace('fe:00 42', '00:00 0'))],
    [
      'of no file that is called like it',
      entry(`${TEXT.replace('fe:00 42', '00:00 0')} ${PROGRAM}`),
    ],
    ['about which the kernel says less', `${TEXT} ${PROGRAM}\nRss: 40 kB\nAnonymous: 0 kB\n`],
    ['of which there is half a line', TEXT.slice(0, 12)],
  ] as const)
    it(`are none ${what}`, () => assert.deepEqual(unchangedMappings(smaps, PROGRAM), []));

  it('are most of the program of this process', () => {
    const smaps = readFileSync('/proc/self/smaps', 'latin1');
    const found = unchangedMappings(smaps, readlinkSync('/proc/self/exe'));
    const megabytes = found.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20;
    assert.ok(megabytes > 10, `${megabytes} MB`);
  });
});
