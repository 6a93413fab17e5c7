import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { secretObject, startHttpsApp } from '../kit/https-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf } from '../kit/objects.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

/** Each kind of server: what it asks of who connects. */
const SERVERS = ['plain', 'strict', 'https', 'https-client'] as const;
type Server = (typeof SERVERS)[number];

/** Which of the servers a caller reaches, by the mode of the rule. No rule = what each can take. */
const REACHED: Readonly<Record<string, readonly Server[]>> = {
  DISABLE: ['plain'],
  SIMPLE: ['https'],
  MUTUAL: ['https', 'https-client'],
  ISTIO_MUTUAL: ['strict'],
};

function entry(server: Server, port: number) {
  const account = server === 'strict' ? ', serviceAccount: strict' : '';
  return objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${server}, namespace: shop }
spec:
  hosts: [${server}.modes.test]
  location: MESH_INTERNAL
  ports: [{ number: 80, name: http, protocol: HTTP }]
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} }${account} }]
`);
}

function rule(mode: string) {
  const more = mode === 'MUTUAL' ? ', credentialName: own' : '';
  return objectsOf(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: all, namespace: web }
spec:
  host: '*.modes.test'
  workloadSelector: { matchLabels: { app: caller } }
  trafficPolicy: { tls: { mode: ${mode}${more} } }
`);
}

const STRICT = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
`;

test('the mode of a DestinationRule decides which servers are reached', {
  timeout: 240_000,
}, async (t) => {
  const [authority, clients] = [testAuthority('public'), testAuthority('clients')];
  const own = clients.issue({ dnsNames: ['caller'] });
  const secret = { cert: own.certificate, key: own.privateKey, cacert: authority.root };
  const objects = [groupObject('web', 'caller'), groupObject('shop', 'strict')];
  const mesh = new ExplicitMesh(
    testMesh([...objects, ...objectsOf(STRICT), secretObject('web', 'own', secret)]),
    testAuthority(),
  );
  const http = await startEchoApp(t, 'strict');
  const strict = await mesh.start(t, { namespace: 'shop', name: 'strict', ports: { http } });
  const caller = await mesh.start(t, {
    namespace: 'web',
    name: 'caller',
    rootFiles: { 'file-root:system': authority.root },
  });
  const ports: Readonly<Record<Server, number>> = {
    plain: await startEchoApp(t, 'plain'),
    strict: strict.listenPort('http'),
    https: await startHttpsApp(t, { authority, name: 'https.modes.test' }),
    'https-client': await startHttpsApp(t, { authority, name: 'https-client.modes.test', clients }),
  };
  mesh.mesh.put(...SERVERS.flatMap((server) => entry(server, ports[server])));
  const client = new KeepAliveClient({ port: caller.httpProxyPort });
  t.after(() => client.close());

  const reached = async (): Promise<readonly Server[]> => {
    const answered: Server[] = [];
    for (const server of SERVERS) {
      const { status } = await client.ask({ target: `http://${server}.modes.test/` });
      if (status === 200) answered.push(server);
    }
    return answered;
  };
  for (const [mode, expected] of Object.entries(REACHED)) {
    await t.test(`${mode}: ${expected.join(' and ')}`, async () => {
      mesh.mesh.put(...rule(mode));
      mesh.publish();
      let last: readonly Server[] = [];
      await waitUntil(async () => {
        last = await reached();
        return last.join() === expected.join();
      }, `${mode} reaches ${expected}`).catch(() => assert.deepEqual(last, expected));
    });
  }
});
