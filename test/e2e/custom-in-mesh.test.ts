// A provider that is a workload of the mesh is asked over mutual TLS, and policy says who may ask.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { extensionProviders } from '#model/extension-provider.ts';
import { startHttpAuthorizer } from '../kit/authorizer-service.ts';
import { custom, EVERYTHING } from '../kit/custom-mesh.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { testMesh } from '../kit/mesh.ts';
import { objectsOf, serviceObjects } from '../kit/objects.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const PROVIDERS = extensionProviders([
  {
    name: 'sessions',
    envoyExtAuthzHttp: { service: 'sessions.tools.svc.cluster.local', port: 9000 },
  },
]);

/** Only `shop/app` may ask the provider, and only over mutual TLS. */
const GUARD = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: tools }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: askers, namespace: tools }
spec: { rules: [{ from: [{ source: { principals: [cluster.local/ns/shop/sa/app] } }] }] }
`;

test('a provider inside of the mesh', { timeout: 240_000 }, async (t) => {
  const sessions = await startHttpAuthorizer(t);
  const objects = [
    ...serviceObjects('shop', 'app', [{ name: 'http', port: 80 }]),
    ...serviceObjects('shop', 'other', [{ name: 'http', port: 80 }]),
    ...serviceObjects('tools', 'sessions', [{ name: 'http', port: 9000 }]),
    ...objectsOf(GUARD),
    ...custom('all', 'sessions', EVERYTHING),
  ];
  const settings = { extensionProviders: PROVIDERS };
  const mesh = new ExplicitMesh(testMesh(objects, settings), testAuthority());
  await mesh.start(t, { namespace: 'tools', name: 'sessions', ports: { http: sessions.port } });
  const start = async (name: string) => {
    const http = await startEchoApp(t, name);
    return mesh.start(t, { namespace: 'shop', name, ports: { http } });
  };
  const [app, other] = [await start('app'), await start('other')];
  const certificate = mesh.authority.issue({ uris: ['spiffe://cluster.local/ns/web/sa/caller'] });
  const ask = async (workload: typeof app) => {
    const call = { port: workload.listenPort('http'), certificate, data: httpRequest('/x') };
    return statusOf(await callPeer(call));
  };
  await waitUntil(async () => (await ask(app)) === 200, 'the provider lets it pass');
  const [question] = sessions.questions.slice(-1);
  assert.match(String(question?.headers['x-forwarded-client-cert']), /ns\/shop\/sa\/app$/);
  sessions.verdict = () => ({ status: 401 });
  assert.equal(await ask(app), 401, 'the provider denies');
  const before = sessions.questions.length;
  assert.equal(await ask(other), 403, 'who may not ask gets no yes');
  assert.equal(sessions.questions.length, before);
});
