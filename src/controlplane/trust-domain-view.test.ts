import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { type DomainEvidence, trustDomainView } from '#controlplane/trust-domain-view.ts';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { TYPE_URL } from '#xds/resource.ts';
import type { ProxyStatus, TypeStatus } from '#xds/serve/proxy-status.ts';
import type { TrustPeer } from '#xds/serve/trust-peers.ts';

const settings = {
  trustDomain: parseTrustDomain('new.test'),
  trustDomainAliases: [parseTrustDomain('old.test')],
};
const names = (domain: string) => ({
  nodeId: 'sidecar~10.0.0.1~web.shop~shop.svc.cluster.local',
  identity: parseSpiffeId(`spiffe://${domain}/ns/shop/sa/web`),
  namespace: 'shop',
  workloadName: 'web',
});
const synced: TypeStatus = {
  typeUrl: TYPE_URL.cluster,
  ...{ wildcard: true, subscribedCount: 0, unansweredCount: 0, rejected: [], synced: true },
  ...{ sent: undefined, acked: undefined, nacked: undefined },
};

/** A workload that follows, but for what a test says otherwise. */
const peer = (changes: Partial<TrustPeer> = {}): TrustPeer => ({
  ...names('new.test'),
  certificate: { serial: '1', authorityKeyId: 'root', notAfterAt: 1 },
  ...{ isConnected: true, accepted: 'v2', refusal: undefined },
  ...changes,
});
const proxy = (changes: Partial<ProxyStatus> = {}): ProxyStatus => ({
  ...names('new.test'),
  ...{ serviceAccount: 'web', envoyVersion: '1.40.0', address: 'x', connectedAt: 0 },
  types: { cds: synced, lds: synced },
  ...changes,
});
const empty = { list: async () => ({ items: [], resourceVersion: '1' }) };

async function reasons(changes: Partial<DomainEvidence>): Promise<string[]> {
  const all = { settings, version: 'v2', peers: [peer()], proxies: [proxy()], unheard: [] };
  const { missing } = await trustDomainView({ ...all, ...changes }, empty);
  return missing.map(({ reason }) => reason);
}

describe('who does not follow the names of the trust domain', () => {
  it('is nobody when certificate, connections, roots and configuration are of them', async () => {
    assert.deepEqual(await reasons({}), []);
    assert.deepEqual(await reasons({ peers: [], proxies: [] }), []);
  });

  it('is whoever has another name, on its certificate or on its connections', async () => {
    const old = names('old.test');
    assert.match(
      String(await reasons({ peers: [peer(old)] })),
      /certificate of spiffe:\/\/old\.test/,
    );
    assert.match(
      String(await reasons({ proxies: [proxy(old)] })),
      /opened as spiffe:\/\/old\.test/,
    );
    assert.equal((await reasons({ peers: [peer(old)], proxies: [proxy(old)] })).length, 1);
  });

  it('is whoever is away, silent, or has not taken what it should', async () => {
    const stale = { ...synced, synced: false };
    const refused = { ...synced, rejected: [{ name: 'a', version: '1', message: 'no', at: 0 }] };
    const cases: readonly [Partial<DomainEvidence>, RegExp][] = [
      [{ peers: [peer({ isConnected: false })] }, /without a farewell/],
      [{ peers: [] }, /does not say/],
      [{ proxies: [] }, /Envoy is not connected/],
      [{ peers: [peer({ accepted: 'v1' })] }, /not taken the roots/],
      [{ peers: [peer({ refusal: 'no' })] }, /refused the roots: no/],
      [{ proxies: [proxy({ types: { cds: synced } })] }, /not asked/],
      [{ proxies: [proxy({ types: { cds: synced, lds: stale } })] }, /not taken its config/],
      [{ proxies: [proxy({ types: { cds: refused, lds: synced } })] }, /refused its config/],
    ];
    for (const [evidence, reason] of cases) assert.match(String(await reasons(evidence)), reason);
  });
});

describe('after a start', () => {
  it('agents of which only the journal knows are waited for, as in a rotation', async () => {
    const { identity } = names('old.test');
    const unheard = [{ name: 'web.shop', identity, reason: 'not heard', issuerKeyId: 'root' }];
    assert.deepEqual(await reasons({ peers: [], proxies: [], unheard }), ['not heard']);
    assert.deepEqual(await reasons({ peers: [], proxies: [], unheard: [] }), []);
  });
});

describe('the view of a change', () => {
  const policy = (name: string, principal: string): ApiObject =>
    ({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name, namespace: 'shop', annotations: { note: 'old.test/ns/shop/sa/a' } },
      spec: { rules: [{ from: [{ source: { principals: [principal] } }] }] },
    }) as ApiObject;
  const items = [
    policy('one', 'old.test/ns/shop/sa/a'),
    policy('two', 'spiffe://old.test/ns/shop/sa/a'),
    policy('three', 'new.test/ns/shop/sa/old.test'),
    policy('four', 'bold.test/ns/shop/sa/a'),
  ];
  const store = {
    list: async (kind: string) => ({
      items: kind === 'authorizationpolicies.security.istio.io' ? items : [],
      resourceVersion: '1',
    }),
  };
  const evidence = { settings, version: 'v2', peers: [peer()], proxies: [proxy()], unheard: [] };

  it('counts a workload once and lists what names an alias', async () => {
    const view = await trustDomainView(evidence, store);
    assert.deepEqual(
      [view.trustDomain, view.aliases, view.workloads],
      ['new.test', ['old.test'], 1],
    );
    assert.deepEqual(
      view.objects.map(({ name, alias }) => `${name} ${alias}`),
      ['one old.test', 'two old.test'],
    );
  });

  it('lists nothing when there is no alias', async () => {
    const alone = { ...settings, trustDomainAliases: [] };
    const view = await trustDomainView({ ...evidence, settings: alone }, store);
    assert.deepEqual(view.objects, []);
  });
});
