// What the inbound listener of every mode does with every kind of connection, for ports of every
// protocol, declared by a service or not: computed by a table that knows nothing of filter chains.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testMesh, testProxy } from '../../kit/mesh.ts';
import { objectsOf } from '../../kit/objects.ts';
import { snapshotJson } from '../../kit/xds-json.ts';
import { completeCall, type WrittenCall } from './call.ts';
import { type Resources, walk } from './walk.ts';

const MODES = ['DISABLE', 'PERMISSIVE', 'STRICT'] as const;
/** Names of service ports, with what they declare; `none` = no service has the port. */
const PORTS = { http: 'http', tcp: 'tcp', auto: 'web', none: undefined } as const;
const PORT = 9000;

type Connection = 'http' | 'tcp' | 'mesh http' | 'mesh tcp' | 'own tls';

const CALLS: Readonly<Record<Connection, Omit<WrittenCall, 'port'>>> = {
  http: { protocol: 'http' },
  tcp: { protocol: 'tcp' },
  'mesh http': { protocol: 'http', tls: 'mtls' },
  'mesh tcp': { protocol: 'tcp', tls: 'mtls' },
  'own tls': { protocol: 'tcp', tls: 'tls' },
};

/** Whether the application gets to see the connection. */
function isTaken(
  mode: (typeof MODES)[number],
  port: keyof typeof PORTS,
  connection: Connection,
): boolean {
  const isMesh = connection.startsWith('mesh');
  const isHttp = connection.endsWith('http');
  if (mode === 'STRICT') return isMesh && (port !== 'http' || isHttp);
  // A port that is declared HTTP takes nothing else.
  if (port !== 'http') return true;
  // In DISABLE nobody ends the TLS of a caller of the mesh.
  return isHttp && !(isMesh && mode === 'DISABLE');
}

function resourcesOf(mode: string, port: keyof typeof PORTS): Resources {
  const name = PORTS[port];
  const service = `
apiVersion: v1
kind: Service
metadata: { name: app, namespace: default }
spec: { selector: { app: app }, ports: [{ name: ${name}, port: ${PORT} }] }
---`;
  const objects = objectsOf(`${name === undefined ? '' : service}
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: default }
spec: { selector: { matchLabels: { app: app } }, portLevelMtls: { ${PORT}: { mode: ${mode} } } }
`);
  const mesh = testMesh(objects);
  const proxy = testProxy({ labels: { app: 'app' } });
  const snapshot = mesh.generator.snapshotFor(proxy, mesh.model.snapshot());
  return snapshotJson(snapshot) as unknown as Resources;
}

for (const mode of MODES) {
  for (const port of Object.keys(PORTS) as (keyof typeof PORTS)[]) {
    test(`${mode}, port ${port}: every kind of connection`, () => {
      const resources = resourcesOf(mode, port);
      for (const [connection, written] of Object.entries(CALLS) as [Connection, WrittenCall][]) {
        const call = completeCall({ ...written, port: PORT, callMode: 'inbound' });
        const result = walk(resources, call);
        const wanted = isTaken(mode, port, connection);
        const shown = `${connection}: ${JSON.stringify(result)}`;
        assert.equal(result.error === undefined, wanted, shown);
        const cluster = port === 'none' ? 'InboundPassthroughCluster' : `inbound|${PORT}||`;
        if (wanted) assert.equal(result.clusterMatched, cluster, shown);
      }
    });
  }
}
