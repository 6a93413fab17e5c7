import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { missingFor, type TrustEvidence } from '#controlplane/trust-proof.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import type { TrustPeer } from '#xds/serve/trust-peers.ts';

/** A workload that is ready for everything, but for what a test says otherwise. */
function peer(name: string, changes: Partial<TrustPeer> = {}): TrustPeer {
  return {
    nodeId: `sidecar~10.0.0.1~${name}.shop~shop.svc.cluster.local`,
    identity: parseSpiffeId(`spiffe://cluster.local/ns/shop/sa/${name}`),
    namespace: 'shop',
    workloadName: name,
    certificate: { serial: '1', authorityKeyId: 'new', notAfterAt: 1 },
    isConnected: true,
    accepted: 'v2',
    refusal: undefined,
    ...changes,
  };
}

const evidence = (peers: readonly TrustPeer[], more: Partial<TrustEvidence> = {}) => ({
  ...{ peers, proxies: peers, unheard: [], version: 'v2', otherKeyId: 'old' },
  ...more,
});
const names = (missing: ReturnType<typeof missingFor>) => missing.map(({ name }) => name);

describe('who keeps a step of the rotation from being safe', () => {
  it('is nobody when everybody took the bundle and serves under the new root', () => {
    for (const step of ['prepare', 'activate', 'taint', 'revoke', 'abort'] as const)
      assert.deepEqual(missingFor(step, evidence([peer('a'), peer('b')])), [], step);
  });

  it('is whoever has not taken the bundle, refused it, or went away', () => {
    const all = [
      peer('ready'),
      peer('late', { accepted: 'v1' }),
      peer('refusing', { refusal: 'no' }),
      peer('away', { isConnected: false }),
    ];
    for (const step of ['activate', 'taint', 'revoke'] as const)
      assert.deepEqual(names(missingFor(step, evidence(all))), [
        'late.shop',
        'refusing.shop',
        'away.shop',
      ]);
    assert.deepEqual(missingFor('prepare', evidence(all)), []);
  });

  it('is a proxy whose agent says nothing', () => {
    const mute = peer('mute');
    const missing = missingFor('activate', evidence([peer('a')], { proxies: [peer('a'), mute] }));
    assert.deepEqual(names(missing), ['mute.shop']);
    const other = { ...mute, nodeId: peer('a').nodeId, identity: mute.identity };
    assert.equal(missingFor('revoke', evidence([peer('a')], { proxies: [other] })).length, 1);
  });

  it('is an agent that was not heard since the start; for abort, under the root that goes', () => {
    const { identity } = peer('gone');
    const one = { name: 'gone.shop', identity, reason: 'not heard' };
    const unheard = ['new', 'old'].map((issuerKeyId) => ({ ...one, issuerKeyId }));
    for (const step of ['activate', 'taint', 'revoke'] as const)
      assert.equal(missingFor(step, evidence([], { unheard })).length, 2, step);
    assert.equal(missingFor('abort', evidence([], { unheard })).length, 1);
    assert.deepEqual(missingFor('prepare', evidence([], { unheard })), []);
  });

  it('is whoever serves with a certificate of a root that goes, for revoke and abort', () => {
    const certificate = { serial: '1', authorityKeyId: 'old', notAfterAt: 1 };
    const all = [peer('a'), peer('holder', { certificate })];
    assert.deepEqual(names(missingFor('revoke', evidence(all))), ['holder.shop']);
    assert.deepEqual(names(missingFor('abort', evidence(all))), ['holder.shop']);
    assert.deepEqual(missingFor('taint', evidence(all)), []);
  });
});
