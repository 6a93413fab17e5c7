import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import {
  cidrHolds,
  formatJoinToken,
  isCidr,
  JOIN_ID_BYTES,
  JOIN_SECRET_BYTES,
  joinSecretFits,
  joinTokenObject,
  parseJoinToken,
  readJoinToken,
  usedJoinTokenObject,
} from '#api/join-token.ts';

const id = randomBytes(JOIN_ID_BYTES).toString('hex');
const secret = randomBytes(JOIN_SECRET_BYTES);
const binding = {
  namespace: 'photo-ns',
  serviceAccount: 'db',
  accountUid: 'u-1',
  expiresAt: Date.UTC(2026, 0),
};

describe('a join token', () => {
  it('is taken apart as it was put together', () => {
    const text = formatJoinToken({ namespace: 'photo-ns', id }, secret);
    const presented = parseJoinToken(text) ?? assert.fail('not parsed');
    assert.deepEqual([presented.namespace, presented.id], ['photo-ns', id]);
    for (const bad of ['', 'bwj_', `${text}x`, text.slice(1), text.replace('photo-ns', '../x')])
      assert.equal(parseJoinToken(bad), undefined, bad);
  });

  it('is kept without its secret, and known by it', () => {
    const object = joinTokenObject(id, secret, { ...binding, cidr: '10.0.0.0/8' });
    const text = secret.toString('base64url');
    assert.ok(!JSON.stringify(object).includes(text));
    assert.ok(!JSON.stringify(object).includes(Buffer.from(text).toString('base64')));
    const token = readJoinToken(object) ?? assert.fail('not read');
    const { hash, ...rest } = token;
    const unused = { usedAt: undefined, usedFrom: undefined };
    assert.deepEqual(rest, { ...binding, id, cidr: '10.0.0.0/8', ...unused });
    assert.equal(hash.length, 32);
    assert.equal(joinSecretFits(token, text), true);
    assert.equal(joinSecretFits(token, randomBytes(32).toString('base64url')), false);
    assert.equal(joinSecretFits({ ...token, hash: new Uint8Array() }, text), false);
  });

  it('says when and from where it was used', () => {
    const object = joinTokenObject(id, secret, binding);
    const used = usedJoinTokenObject(object, { at: Date.UTC(2026, 1), from: '10.0.0.1' });
    const { usedAt, usedFrom } = readJoinToken(used) ?? assert.fail('not read');
    assert.deepEqual([usedAt, usedFrom], ['2026-02-01T00:00:00.000Z', '10.0.0.1']);
  });

  it('is not read from objects of other kinds, nor from damaged ones', () => {
    const object = joinTokenObject(id, secret, binding);
    const { data = {} } = object;
    assert.equal(readJoinToken({ ...object, type: 'Opaque' }), undefined);
    for (const key of Object.keys(data)) {
      const { [key]: _, ...rest } = data;
      assert.equal(readJoinToken({ ...object, data: rest }), undefined, key);
    }
  });
});

describe('a range of addresses', () => {
  it('is an address and its bits', () => {
    for (const text of ['10.0.0.0/8', '0.0.0.0/0', 'fd00::/8', '::1/128'])
      assert.equal(isCidr(text), true, text);
    for (const text of ['10.0.0.0', '10.0.0.0/33', '10.0.0/8', '/8', 'a/8', '::/129', '1.2.3.4/-1'])
      assert.equal(isCidr(text), false, text);
  });

  it('holds the addresses in it and no others', () => {
    for (const [range, address, held] of [
      ['10.0.0.0/8', '10.200.3.4', true],
      ['10.0.0.0/8', '11.0.0.1', false],
      ['10.0.0.0/8', '::ffff:10.0.0.1', true],
      ['10.0.0.0/8', '::ffff:11.0.0.1', false],
      ['fd00::/8', 'fd12::1', true],
      ['fd00::/8', '10.0.0.1', false],
      ['0.0.0.0/0', '1.2.3.4', true],
      ['10.0.0.0/8', 'unix', false],
      ['nonsense', '10.0.0.1', false],
    ] as const)
      assert.equal(cidrHolds(range, address), held, `${range} ${address}`);
  });
});
