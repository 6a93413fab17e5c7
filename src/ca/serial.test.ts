import assert from 'node:assert/strict';
import { it } from 'node:test';
import { systemRandom } from '#base/random.ts';
import { isSerialOf, SerialNumbers, serialPrefix } from '#ca/serial.ts';
import { makeAuthority } from '../../test/kit/authority-chain.ts';

it('a serial of an authority that is no root tells that it is its own', () => {
  const [one, other] = [makeAuthority().certificate, makeAuthority().certificate];
  const serials = new SerialNumbers(systemRandom);
  const known = new Set<string>();
  for (let count = 0; count < 200; count += 1) {
    const serial = serials.next(serialPrefix(one));
    assert.match(serial, /^1[0-9a-f]{38}$/, '20 bytes at most, and positive');
    assert.equal(isSerialOf(serial, one), true);
    assert.equal(isSerialOf(serial, other), false);
    known.add(serial);
  }
  assert.equal(known.size, 200);
});

it('a serial of a root is of nobody else', () => {
  const authority = makeAuthority().certificate;
  const serials = new SerialNumbers(systemRandom);
  assert.equal(isSerialOf(serials.next(), authority), false);
  const short = `1${serialPrefix(authority)}${'0'.repeat(16)}`;
  assert.equal(isSerialOf(short, authority), false, 'as long as those of a root');
});
