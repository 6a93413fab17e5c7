// Callers of a Gateway of the Gateway API are verified with the authorities of a ConfigMap.
import assert from 'node:assert/strict';
import { type RequestOptions, request } from 'node:https';
import { test } from 'node:test';
import { freePort } from '../kit/free-port.ts';
import { secretObject } from '../kit/https-app.ts';
import { groupYaml, secretReaderYaml, yamlOf } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const HOST = 'shop.example.com';

const gatewayYaml = (port: number): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: front, namespace: edge }
spec:
  gatewayClassName: bulwark
  tls:
    frontend:
      default: { validation: { caCertificateRefs: [{ kind: ConfigMap, group: '', name: callers }] } }
  listeners:
    - name: https
      port: ${port}
      protocol: HTTPS
      hostname: ${HOST}
      tls: { certificateRefs: [{ name: shown }] }
`;

test('callers prove themselves to a listener of the Gateway API', {
  timeout: 240_000,
}, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  const port = await freePort();
  const label = ', gateway.networking.k8s.io/gateway-name: front';
  const group = groupYaml('edge', 'gate', label);
  await mesh.apply(yamlOf(group, secretReaderYaml('edge', 'gate'), gatewayYaml(port)));
  const authority = testAuthority('servers');
  const callers = testAuthority('callers');
  const { certificate: cert, privateKey: key } = authority.issue({ dnsNames: [HOST] });
  await mesh.apply(JSON.stringify(secretObject('edge', 'shown', { cert, key })));
  const gate = { namespace: 'edge', serviceAccount: 'gate', name: 'gate', group: 'gate' };
  await mesh.runAgent('agent', {
    workloads: [{ ...gate, mode: 'gateway', bindAddress: '127.0.0.1' }],
  });
  const ask = (more: RequestOptions): Promise<number> =>
    new Promise((resolve, reject) => {
      const where = { host: '127.0.0.1', port, headers: { host: HOST }, agent: false };
      const sent = request({ ...where, servername: HOST, ca: authority.root, ...more });
      sent.on('response', (answer) => resolve(answer.resume().statusCode ?? 0));
      sent.on('error', reject).end();
    });
  const shown = (by: ReturnType<typeof testAuthority>): RequestOptions => {
    const { certificate, privateKey } = by.issue({ dnsNames: ['caller'] });
    return { cert: certificate, key: privateKey };
  };
  await assert.rejects(ask(shown(callers)), 'without the ConfigMap nobody gets in');
  const data = { 'ca.crt': callers.root };
  const metadata = { name: 'callers', namespace: 'edge' };
  await mesh.apply(JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data }));
  const isLetIn = async () => (await ask(shown(callers)).catch(() => 0)) === 404;
  await waitUntil(isLetIn, 'a caller of the authority gets in, to no route');
  await assert.rejects(ask({}));
  await assert.rejects(ask(shown(testAuthority('others'))));
});
