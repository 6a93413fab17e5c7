import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SeenRequest, startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf, serviceObjects } from '../kit/objects.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const CALLER = 'spiffe://cluster.local/ns/web/sa/caller';

function peerAuthentication(mode: string) {
  return objectsOf(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: ${mode} } }
`);
}

function rule(tls: string) {
  return objectsOf(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: backend, namespace: shop }
spec:
  host: backend
  subsets: [{ name: old, labels: { version: old } }]
  trafficPolicy: { tls: ${tls} }
`);
}

/** An instance of the backend that has no proxy beside it. */
function entryWithoutProxy(port: number) {
  return objectsOf(`
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: backend-old, namespace: shop }
spec:
  address: 127.0.0.1
  ports: { http: ${port} }
  labels: { app: backend, version: old, security.istio.io/tlsMode: disabled }
  serviceAccount: backend
`);
}

/** What became of calls to each of the two instances: the identity that it saw, or none. */
interface Outcome {
  readonly old: 'plain' | 'proved' | undefined;
  readonly new: 'plain' | 'proved' | undefined;
  readonly failed: number;
}

/** Calls until both instances must have had their turn. */
async function callAll(client: KeepAliveClient): Promise<Outcome> {
  const seen: { -readonly [K in keyof Outcome]: Outcome[K] } = {
    old: undefined,
    new: undefined,
    failed: 0,
  };
  for (let call = 0; call < 40; call += 1) {
    const { status, body } = await client.ask({ target: 'http://backend.shop/' });
    if (status !== 200) {
      seen.failed += 1;
      continue;
    }
    const { app, headers } = JSON.parse(body) as SeenRequest;
    const by = String(headers['x-forwarded-client-cert'] ?? '');
    seen[app as 'old' | 'new'] = by.includes(`URI=${CALLER}`) ? 'proved' : 'plain';
  }
  return seen;
}

test('a service half of whose instances have a proxy', { timeout: 240_000 }, async (t) => {
  const oldPort = await startEchoApp(t, 'old');
  const mesh = new ExplicitMesh(
    testMesh([
      ...serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]),
      groupObject('web', 'caller'),
      ...entryWithoutProxy(oldPort),
    ]),
    testAuthority(),
  );
  const http = await startEchoApp(t, 'new');
  await mesh.start(t, { namespace: 'shop', name: 'backend', ports: { http } });
  const caller = await mesh.start(t, { namespace: 'web', name: 'caller' });
  const client = new KeepAliveClient({ port: caller.httpProxyPort });
  t.after(() => client.close());

  const becomes = async (expected: Outcome, what: string): Promise<void> => {
    let last: Outcome | undefined;
    try {
      await waitUntil(async () => {
        last = await callAll(client);
        return last.old === expected.old && last.new === expected.new && last.failed === 0;
      }, what);
    } catch (error) {
      assert.deepEqual(last, expected, String(error));
    }
  };

  await t.test(
    'with nothing configured each gets what it can take, and no call fails',
    async () => {
      await becomes({ old: 'plain', new: 'proved', failed: 0 }, 'both are reached');
    },
  );

  await t.test(
    'STRICT where there is a proxy changes nothing for callers of the mesh',
    async () => {
      mesh.mesh.put(...peerAuthentication('STRICT'));
      mesh.publish();
      await becomes({ old: 'plain', new: 'proved', failed: 0 }, 'both are reached');
    },
  );

  await t.test('DISABLE: both are called in plaintext', async () => {
    mesh.mesh.put(...peerAuthentication('DISABLE'));
    mesh.publish();
    await becomes({ old: 'plain', new: 'plain', failed: 0 }, 'both are reached');
  });

  await t.test('a rule that says DISABLE, too', async () => {
    mesh.mesh.put(...peerAuthentication('PERMISSIVE'), ...rule('{ mode: DISABLE }'));
    mesh.publish();
    await becomes({ old: 'plain', new: 'plain', failed: 0 }, 'both are reached');
  });

  await t.test('a rule that says ISTIO_MUTUAL never falls back to plaintext', async () => {
    mesh.mesh.put(...rule('{ mode: ISTIO_MUTUAL }'));
    mesh.publish();
    await waitUntil(async () => {
      const seen = await callAll(client);
      return seen.new === 'proved' && seen.old === undefined;
    }, 'only the one with a proxy is reached');
  });

  await t.test('an instance that gets its proxy is called by mutual TLS from then on', async () => {
    mesh.mesh.remove(...rule('{ mode: ISTIO_MUTUAL }'), ...entryWithoutProxy(oldPort));
    mesh.publish();
    await becomes({ old: undefined, new: 'proved', failed: 0 }, 'only the new one is there');
  });
});
