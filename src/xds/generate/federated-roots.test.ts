import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { serverRoots } from '#xds/generate/federated-roots.ts';

const FEDERATED = ['bank.test', 'third.test'].map((name) => parseTrustDomain(name));
const rootsFor = (ids: readonly string[], idPrefixes: readonly string[] = []) =>
  serverRoots({ ids, idPrefixes }, FEDERATED);

it('servers are verified by the roots of their own trust domains, and of no others', () => {
  const [bank, third] = ['bank.test', 'third.test'].map((name) => `spiffe://${name}/ns/a/sa/b`);
  assert.ok(bank && third);
  assert.deepEqual(rootsFor([bank]), ['bank.test']);
  assert.deepEqual(rootsFor([third, bank]), ['bank.test', 'third.test']);
  assert.equal(rootsFor(['spiffe://cluster.local/ns/a/sa/b']), 'own');
  assert.equal(rootsFor([]), 'own');
  assert.equal(rootsFor(['spiffe://bank.test.evil/ns/a/sa/b']), 'own');
});

it('where some are our own, or may be, both are there', () => {
  const bank = 'spiffe://bank.test/ns/a/sa/b';
  assert.equal(rootsFor([bank, 'spiffe://cluster.local/ns/a/sa/b']), 'every');
  assert.equal(rootsFor([bank], ['spiffe://cluster.local/ns/a/']), 'every');
});
