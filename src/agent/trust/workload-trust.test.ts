// The whole channel: a server that says what to trust, an agent that checks it, an Envoy that takes
// it or not.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ConnectionReport } from '#agent/connections/connection-watch.ts';
import type { PushOutcome } from '#agent/sds/sds-server.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { TrustConnections } from '#agent/trust/trust-connections.ts';
import { WorkloadTrust } from '#agent/trust/workload-trust.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { ServerRoots } from '#caclient/server-roots.ts';
import { channelAuthenticator } from '#controlplane/channel-authenticator.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { bundleDocument } from '#spiffe/bundle.ts';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { trustBundlesResource, trustResource } from '#xds/serve/trust-resource.ts';
import { TrustServer } from '#xds/serve/trust-server.ts';
import { FakeAuthority } from '../../../test/fakes/fake-authority.ts';
import { serveGrpc } from '../../../test/kit/grpc-server.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const IDENTITY = 'spiffe://cluster.local/ns/shop/sa/web';
const SERVER_NAME = 'server.test';
const NODE = {
  id: 'sidecar~10.0.0.1~web.shop~shop.svc.cluster.local',
  metadata: { NAME: 'web', NAMESPACE: 'shop', SERVICE_ACCOUNT: 'web' },
};

/** Key and certificate of the workload, by an authority. */
function secretOf(authority: FakeAuthority): WorkloadSecret {
  const { privateKeyPem, certificatePem } = authority.issue({ uris: [IDENTITY] });
  const [leaf] = parseCertificatesPem(certificatePem);
  return {
    identity: parseSpiffeId(IDENTITY),
    privateKeyPem,
    chainPem: certificatePem,
    rootsPem: authority.rootPem,
    serial: leaf?.serial ?? '',
    notBeforeAt: leaf?.notBeforeAt ?? 0,
    notAfterAt: leaf?.notAfterAt ?? 0,
    obtainedAt: systemClock.now(),
  };
}

/** An Envoy that answers when it is told to. */
class FakeEnvoy {
  served: WorkloadSecret | undefined;
  /** What it says of the roots; undefined: nothing yet. */
  verdict: 'accepted' | 'rejected' | undefined = 'accepted';

  /** Whether it verifies callers by the roots of each trust domain. */
  isFederated = false;
  federatedVerdict: 'accepted' | 'rejected' | undefined;

  publish(secret: WorkloadSecret): void {
    this.served = secret;
  }

  wants(name: string): boolean {
    return name !== 'FEDERATED_ROOTCA' || this.isFederated;
  }

  verdictOn(name: string): PushOutcome | undefined {
    if (name === 'FEDERATED_ROOTCA')
      return this.federatedVerdict && outcome(this.federatedVerdict, 'bad bundles');
    if (name !== 'ROOTCA') return { version: '1', state: 'accepted', reason: undefined };
    return this.verdict && outcome(this.verdict, 'bad roots');
  }
}

function outcome(state: PushOutcome['state'], reason: string): PushOutcome {
  return { version: '1', state, reason: state === 'rejected' ? reason : undefined };
}

async function setUp(t: TestContext, rootsPem: (own: FakeAuthority) => string) {
  const authority = new FakeAuthority(systemClock);
  const authenticate = channelAuthenticator({
    clock: systemClock,
    authority,
    trustDomains: [parseTrustDomain('cluster.local')],
    isRevoked: () => false,
    authenticateToken: () => assert.fail('nobody comes with a token'),
  });
  const resource = trustResource({ rootsPem: rootsPem(authority), crlPem: '' });
  const server = new TrustServer(resource, {
    authenticate,
    clock: systemClock,
    log: silentLogger,
  });
  const { privateKeyPem, certificatePem } = authority.issue({ dnsNames: [SERVER_NAME] });
  const tls = {
    privateKeyPem,
    certificateChainPem: certificatePem,
    clientCaPem: authority.rootPem,
  };
  const { target } = await serveGrpc(t, server.service, { options: { tls } });
  const rootFile = join(temporaryDirectory(t), 'root.pem');
  writeFileSync(rootFile, authority.rootPem);
  const envoy = new FakeEnvoy();
  const asked: string[] = [];
  const connections: { report: ConnectionReport | undefined } = { report: undefined };
  const roots = new ServerRoots(rootFile);
  const where = { address: target, serverName: SERVER_NAME };
  const trust = new WorkloadTrust(
    {
      node: NODE,
      renewSoon: ({ reason }) => void asked.push(reason),
      connections: () => connections.report,
    },
    {
      roots,
      connections: new TrustConnections(where, { roots, clock: systemClock }),
      clock: systemClock,
      random: systemRandom,
      log: silentLogger,
      sds: envoy,
    },
  );
  t.after(() => trust.close());
  const peer = () => server.peers.all()[0];
  return { authority, server, envoy, trust, peer, asked, connections };
}

describe('what a workload trusts', () => {
  it('is said of a federated one only when its Envoy took both secrets', async (t) => {
    const { authority, envoy, trust, peer, server } = await setUp(t, (own) => own.rootPem);
    const [root] = parseCertificatesPem(authority.rootPem);
    const roots = [root?.der ?? new Uint8Array()];
    const document = bundleDocument({ roots, jwtAuthorities: [] });
    const domains = { 'cluster.local': document, 'other.test': document };
    server.publishBundles(trustBundlesResource({ own: ['cluster.local'], trust_domains: domains }));
    envoy.isFederated = true;
    trust.renewed(secretOf(authority));
    await waitUntil(() => envoy.served?.bundles, 'the bundles');
    const known = envoy.served?.bundles;
    assert.deepEqual([...(known?.byDomain.keys() ?? [])], Object.keys(domains));
    assert.equal(peer()?.accepted, undefined);
    envoy.federatedVerdict = 'accepted';
    trust.answered();
    await waitUntil(() => {
      trust.answered();
      return peer()?.accepted === server.version;
    }, 'the yes');
  });

  it('does not take bundles that are none, and keeps those before', async (t) => {
    const { authority, envoy, trust, server, peer } = await setUp(t, (own) => own.rootPem);
    const publish = (domains: Record<string, object>) =>
      server.publishBundles(
        trustBundlesResource({ own: ['cluster.local'], trust_domains: domains }),
      );
    publish({ 'other.test': { keys: [] } });
    trust.renewed(secretOf(authority));
    await waitUntil(() => envoy.served?.bundles, 'the bundles');
    publish({ 'not a domain': { keys: [] } });
    publish({ 'other.test': { keys: [{ use: 'x509-svid', x5c: ['AAAA'] }] } });
    server.publish(
      trustResource({ rootsPem: `${authority.rootPem}${authority.rootPem}`, crlPem: '' }),
    );
    await waitUntil(() => peer()?.accepted === server.version, 'what came after');
    assert.deepEqual([...(envoy.served?.bundles?.byDomain.keys() ?? [])], ['other.test']);
  });

  it('is said to the server only after its Envoy took it', async (t) => {
    const { authority, envoy, trust, peer, server } = await setUp(t, (own) => own.rootPem);
    envoy.verdict = undefined;
    const secret = secretOf(authority);
    trust.renewed(secret);
    await waitUntil(() => peer()?.isConnected, 'the agent is there');
    assert.equal(
      peer()?.certificate.serial,
      secret.serial,
      'by the certificate that it serves with',
    );
    assert.equal(peer()?.accepted, undefined);
    envoy.verdict = 'accepted';
    trust.answered();
    await waitUntil(() => peer()?.accepted === server.version, 'the yes');
  });

  it('follows the server at once, and a refusal of Envoy is handed back with its words', async (t) => {
    const { authority, envoy, trust, peer, server } = await setUp(t, (own) => own.rootPem);
    trust.renewed(secretOf(authority));
    await waitUntil(() => peer()?.accepted === server.version, 'the first yes');
    const next = new FakeAuthority(systemClock);
    const both = authority.rootPem + next.rootPem;
    server.publish(trustResource({ rootsPem: both, crlPem: '' }));
    await waitUntil(() => peer()?.accepted === server.version, 'the second yes');
    assert.equal(envoy.served?.rootsPem, both);
    envoy.verdict = 'rejected';
    server.publish(trustResource({ rootsPem: next.rootPem + both, crlPem: '' }));
    await waitUntil(() => peer()?.refusal?.includes('bad roots'), 'the no');
    assert.equal(envoy.served?.rootsPem, both, 'it is back at what Envoy took');
    assert.notEqual(peer()?.accepted, server.version);
  });

  it('is never a set without the root of its own certificate, nor one that is none', async (t) => {
    const stranger = new FakeAuthority(systemClock);
    const { authority, envoy, trust, peer, server, asked } = await setUp(t, () => stranger.rootPem);
    const secret = secretOf(authority);
    trust.renewed(secret);
    await waitUntil(() => peer()?.refusal?.includes('does not vouch'), 'the no');
    assert.deepEqual(asked, ['RootDistrusted'], 'it asks for a certificate that is trusted');
    assert.equal(envoy.served?.rootsPem, authority.rootPem);
    const leaf = secret.chainPem;
    for (const [rootsPem, reason] of [
      ['', /does not parse|no root/],
      ['garbage', /does not parse/],
      [`${authority.rootPem}${leaf}`, /none of an authority/],
      [authority.rootPem.repeat(65), /more than 64 roots/],
    ] as const) {
      server.publish(trustResource({ rootsPem, crlPem: '' }));
      await waitUntil(() => reason.test(peer()?.refusal ?? ''), `the no to ${reason}`);
      assert.equal(envoy.served?.rootsPem, authority.rootPem);
    }
  });

  it('has it renew when another root signs, and shows the server the new certificate', async (t) => {
    const next = new FakeAuthority(systemClock);
    const { authority, trust, peer, asked } = await setUp(t, (own) => next.rootPem + own.rootPem);
    trust.renewed(secretOf(authority));
    await waitUntil(() => peer()?.accepted, 'the yes');
    assert.deepEqual(asked, ['RootReplaced']);
    const renewed = secretOf(authority);
    trust.renewed(renewed);
    await waitUntil(() => peer()?.certificate.serial === renewed.serial, 'the new certificate');
    await waitUntil(() => peer()?.accepted, 'the yes on the new stream');
  });

  it('is what came with a certificate that the last bundle does not vouch for', async (t) => {
    const { authority, envoy, trust, peer, asked } = await setUp(t, (own) => own.rootPem);
    trust.renewed(secretOf(authority));
    await waitUntil(() => peer()?.accepted, 'the yes');
    const next = new FakeAuthority(systemClock);
    trust.renewed(secretOf(next));
    assert.equal(envoy.served?.rootsPem, next.rootPem);
    assert.deepEqual(asked, [], 'it needs no other certificate');
  });

  it('is forgotten by the server at a farewell', async (t) => {
    const { authority, trust, peer, server } = await setUp(t, (own) => own.rootPem);
    trust.renewed(secretOf(authority));
    await waitUntil(() => peer()?.accepted, 'the yes');
    await trust.close();
    await waitUntil(() => server.peers.all().length === 0, 'the farewell');
  });

  it('is nothing that a certificate of another authority can ask for', async (t) => {
    const { authority, trust, peer, server } = await setUp(t, (own) => own.rootPem);
    const seen = new Set<string | undefined>();
    server.peers.onChange(() => seen.add(peer()?.certificate.serial));
    trust.renewed(secretOf(new FakeAuthority(systemClock)));
    const good = secretOf(authority);
    trust.renewed(good);
    await waitUntil(() => peer()?.accepted, 'the yes');
    assert.deepEqual([...seen], [good.serial], 'a certificate of another authority opens nothing');
  });

  it('is told together with who connects, on each stream and when that changes', async (t) => {
    const { server, authority, trust, peer, connections } = await setUp(t, (own) => own.rootPem);
    const seen = () => {
      const workload = peer();
      return workload && server.connections.of(workload)?.ports;
    };
    const port = { port: 80, tls: 1, plaintext: 2, open: 0, callers: [] };
    connections.report = { sinceMs: 5, ports: [port] };
    trust.renewed(secretOf(authority));
    await waitUntil(() => seen()?.[0]?.plaintext === 2, 'the first report');
    connections.report = { sinceMs: 9, ports: [{ ...port, plaintext: 3 }] };
    trust.connectionsChanged();
    await waitUntil(() => seen()?.[0]?.plaintext === 3, 'the next report');
    connections.report = { sinceMs: 9, ports: [{ ...port, plaintext: 4 }] };
    trust.renewed(secretOf(authority));
    await waitUntil(() => seen()?.[0]?.plaintext === 4, 'the report on a new stream');
    await trust.close();
    await waitUntil(() => seen() === undefined, 'nothing after the farewell');
  });
});
