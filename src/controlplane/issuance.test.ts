// Which tokens of the platform prove a workload, by the real tokens of the API server.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ServiceAccountTokens } from '#apiserver/service-account-tokens.ts';
import { loadTokenKey } from '#apiserver/token-key.ts';
import { isBulwarkError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { resolveSettings } from '#base/settings.ts';
import { declareCaMetrics } from '#ca/metrics.ts';
import { SiteLists } from '#ca/sites/site-lists.ts';
import { Sites } from '#ca/sites/sites.ts';
import { openIssuance } from '#controlplane/issuance.ts';
import { Mesh } from '#controlplane/mesh.ts';
import { RevocationCheck } from '#controlplane/revocation.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { openCsrService } from '../../test/kit/csr-service.ts';
import { storeWithAccount } from '../../test/kit/join-token.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const API = 'https://kubernetes.default.svc.cluster.local';
const isUnknown = (error: unknown) => isBulwarkError(error, 'CA_UNAUTHENTICATED');
const account = { kind: 'serviceaccounts', namespace: 'photo-ns', name: 'db' };

async function setUp(t: TestContext, flags: Parameters<typeof resolveSettings>[0]['flags'] = {}) {
  const settings = resolveSettings({ flags });
  const clock = new FakeClock(Date.UTC(2026, 0));
  const { store } = await storeWithAccount(t, clock);
  const key = await loadTokenKey(join(temporaryDirectory(t), 'key.pem'));
  const common = { store, clock, random: systemRandom, log: silentLogger };
  const tokens = new ServiceAccountTokens({ issuer: API }, { ...common, key });
  const mesh = new Mesh(settings);
  const { issuer, roots } = await openCsrService(t);
  const path = join(temporaryDirectory(t), 'sites.json');
  const sites = await Sites.open({ path, identities: new Set(), ttlMs: 1 }, common);
  const lists = { directory: join(temporaryDirectory(t), 'lists') };
  const siteLists = await SiteLists.open(lists, { ...common, sites, metrics: new Metrics() });
  const { tokenAuthenticator } = openIssuance(settings, {
    ...common,
    mesh,
    tokens,
    authority: { issuer, roots, sites, siteLists, metrics: declareCaMetrics(new Metrics()) },
    journal: { record: async () => {}, list: () => [], each: () => [] },
    oidcRules: [],
    revocation: new RevocationCheck(mesh),
  });
  const issue = async (audience: string): Promise<string> => {
    const found = (await store.get(account)) ?? assert.fail('no account');
    return (await tokens.issue(found, { audiences: [audience], seconds: 600 })).token;
  };
  const authenticate = (token: string) =>
    tokenAuthenticator.authenticate({
      metadata: { authorization: `Bearer ${token}` },
      peer: { address: '127.0.0.1:1', verifiedCertificate: undefined },
    });
  return { store, clock, issue, authenticate };
}

describe('a service account token', () => {
  it('for the audience of the authority proves its account, and says which it was', async (t) => {
    const { issue, authenticate } = await setUp(t);
    const { identity, method, proof } = await authenticate(await issue('istio-ca'));
    assert.equal(identity, 'spiffe://cluster.local/ns/photo-ns/sa/db');
    assert.equal(method, 'service-account-token');
    assert.match(proof, /^[0-9a-f-]{36}$/);
  });

  it('for another audience proves nothing', async (t) => {
    const { issue, authenticate } = await setUp(t);
    for (const audience of [API, 'vault', 'istio-ca.evil'])
      await assert.rejects(authenticate(await issue(audience)), isUnknown);
  });

  it('for the API server is good only with the policy for first-party tokens', async (t) => {
    const { issue, authenticate } = await setUp(t, { jwtPolicy: 'first-party-jwt' });
    assert.ok(await authenticate(await issue(API)));
    assert.ok(await authenticate(await issue('istio-ca')));
    await assert.rejects(authenticate(await issue('vault')), isUnknown);
  });

  it('whose names were changed to another namespace proves nothing', async (t) => {
    const { issue, authenticate } = await setUp(t);
    const [head, payload = '', signature] = (await issue('istio-ca')).split('.');
    const claims = Buffer.from(payload, 'base64url').toString('utf8');
    const changed = Buffer.from(claims.replaceAll('photo-ns', 'istio-system'));
    const forged = [head, changed.toString('base64url'), signature].join('.');
    await assert.rejects(authenticate(forged), isUnknown);
  });

  it('proves nothing once it expired, or its account is gone', async (t) => {
    const { store, clock, issue, authenticate } = await setUp(t);
    const token = await issue('istio-ca');
    clock.advance(601_000);
    await assert.rejects(authenticate(token), isUnknown);
    const fresh = await issue('istio-ca');
    assert.ok(await authenticate(fresh));
    await store.delete(account);
    await assert.rejects(authenticate(fresh), isUnknown);
  });
});
