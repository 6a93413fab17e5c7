// Which connections real Envoys take, by PeerAuthentication, Policy and MeshPolicy on every level:
// what is expected is written down here, and both ports are tried with plaintext and mutual TLS.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf, serviceObjects } from '../kit/objects.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const CALLER = 'spiffe://cluster.local/ns/web/sa/caller';
const PORTS = ['http', 'admin'] as const;

/** What a port takes: the letters of `plaintext` and `mutual TLS`. */
type Taken = 'p' | 'm' | 'pm' | '';

interface Cell {
  readonly name: string;
  /** YAML of the objects, `PORT` in place of the number of the application's port `admin`. */
  readonly yaml: string;
  /** Of the ports `http` and `admin`. */
  readonly expected: readonly [Taken, Taken];
}

function peerAuthentication(name: string, namespace: string, spec: string): string {
  return `---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
`;
}

function policy(name: string, spec: string, namespace = 'shop'): string {
  return `---
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
`;
}

function meshPolicy(spec: string): string {
  return `---
apiVersion: authentication.istio.io/v1alpha1
kind: MeshPolicy
metadata: { name: default }
spec: ${spec}
`;
}

const SELECTED = 'selector: { matchLabels: { app: backend } }';
const TAKEN = { DISABLE: 'p', PERMISSIVE: 'pm', STRICT: 'm' } as const;

/** Each mode on each level of the new API. */
const NEW_CELLS: readonly Cell[] = Object.entries(TAKEN).flatMap(([mode, taken]): Cell[] => {
  const mtls = `mtls: { mode: ${mode} }`;
  const opposite = mode === 'STRICT' ? 'DISABLE' : 'STRICT';
  const above = peerAuthentication('default', 'istio-system', `{ mtls: { mode: ${opposite} } }`);
  const other = TAKEN[opposite];
  const ports = `portLevelMtls: { PORT: { mode: ${mode} } }`;
  return [
    {
      name: `PeerAuthentication ${mode} of the mesh`,
      yaml: peerAuthentication('default', 'istio-system', `{ ${mtls} }`),
      expected: [taken, taken],
    },
    {
      name: `PeerAuthentication ${mode} of the namespace`,
      yaml: above + peerAuthentication('default', 'shop', `{ ${mtls} }`),
      expected: [taken, taken],
    },
    {
      name: `PeerAuthentication ${mode} of the workload`,
      yaml: above + peerAuthentication('own', 'shop', `{ ${SELECTED}, ${mtls} }`),
      expected: [taken, taken],
    },
    {
      name: `PeerAuthentication ${mode} of a port`,
      yaml: above + peerAuthentication('own', 'shop', `{ ${SELECTED}, ${ports} }`),
      expected: [other, taken],
    },
  ];
});

const OLD_PEERS = {
  'no peers': ['', 'p'],
  PERMISSIVE: ['peers: [{ mtls: { mode: PERMISSIVE } }]', 'pm'],
  STRICT: ['peers: [{ mtls: {} }]', 'm'],
} as const;

/** Each mode on each level of the old API. */
const OLD_CELLS: readonly Cell[] = Object.entries(OLD_PEERS).flatMap(([name, how]): Cell[] => {
  const [peers, taken] = how;
  const opposite = name === 'STRICT' ? 'no peers' : 'STRICT';
  const [otherPeers, other] = OLD_PEERS[opposite];
  const above = meshPolicy(`{ ${otherPeers} }`);
  const target = (ports: string) => `{ targets: [{ name: backend${ports} }], ${peers} }`;
  return [
    { name: `MeshPolicy, ${name}`, yaml: meshPolicy(`{ ${peers} }`), expected: [taken, taken] },
    {
      name: `Policy of the namespace, ${name}`,
      yaml: above + policy('default', `{ ${peers} }`),
      expected: [taken, taken],
    },
    {
      name: `Policy of the service, ${name}`,
      yaml: above + policy('backend', target('')),
      expected: [taken, taken],
    },
    {
      name: `Policy of a port by number, ${name}`,
      yaml: above + policy('backend', target(', ports: [{ number: 90 }]')),
      expected: [other, taken],
    },
    {
      name: `Policy of a port by name, ${name}`,
      yaml: above + policy('backend', target(', ports: [{ name: http }]')),
      expected: [taken, other],
    },
  ];
});

const STRICT_MESH = meshPolicy('{ peers: [{ mtls: {} }] }');

const OTHER_CELLS: readonly Cell[] = [
  { name: 'nothing', yaml: '', expected: ['pm', 'pm'] },
  {
    name: 'PeerAuthentication beats every old policy',
    yaml:
      STRICT_MESH +
      policy('backend', '{ targets: [{ name: backend }], peers: [{ mtls: null }] }') +
      peerAuthentication('default', 'shop', '{ mtls: { mode: PERMISSIVE } }'),
    expected: ['pm', 'pm'],
  },
  {
    name: 'a PeerAuthentication for other workloads leaves the old policies alone',
    yaml:
      STRICT_MESH +
      peerAuthentication(
        'other',
        'shop',
        '{ selector: { matchLabels: { app: other } }, mtls: { mode: DISABLE } }',
      ),
    expected: ['m', 'm'],
  },
  {
    name: 'a Policy of another namespace says nothing here',
    yaml: STRICT_MESH + policy('default', '{}', 'other'),
    expected: ['m', 'm'],
  },
  {
    name: 'a peer that is optional',
    yaml: policy('default', '{ peers: [{ mtls: {} }], peerIsOptional: true }'),
    expected: ['pm', 'pm'],
  },
  {
    name: 'peers that nobody can be',
    yaml: policy(
      'backend',
      '{ targets: [{ name: backend, ports: [{ number: 90 }] }], peers: [{ jwt: { issuer: a } }] }',
    ),
    expected: ['pm', ''],
  },
];

test('modes on every level, old and new', { timeout: 300_000 }, async (t) => {
  const services = [
    { name: 'http', port: 80 },
    { name: 'admin', port: 90 },
  ];
  const objects = [...serviceObjects('shop', 'backend', services), groupObject('web', 'caller')];
  const mesh = new ExplicitMesh(testMesh(objects), testAuthority());
  const certificate = mesh.authority.issue({ uris: [CALLER] });
  const ports = { http: await startEchoApp(t, 'http'), admin: await startEchoApp(t, 'admin') };
  const backend = await mesh.start(t, { namespace: 'shop', name: 'backend', ports });
  const caller = await mesh.start(t, { namespace: 'web', name: 'caller' });
  const client = new KeepAliveClient({ port: caller.httpProxyPort });
  t.after(() => client.close());

  const takenBy = async (name: string): Promise<Taken> => {
    const port = backend.listenPort(name);
    const data = httpRequest('/');
    const [plain, mutual] = await Promise.all([
      callPeer({ port, data }),
      callPeer({ port, data, certificate }),
    ]);
    return `${statusOf(plain) === 200 ? 'p' : ''}${statusOf(mutual) === 200 ? 'm' : ''}` as Taken;
  };
  let current: readonly ApiObject[] = [];
  /** Puts these objects in place of those before, and waits until the Envoy has heard of it. */
  const change = async (objects: readonly ApiObject[]): Promise<void> => {
    mesh.mesh.remove(...current);
    mesh.mesh.put(...objects);
    current = objects;
    mesh.publish();
    await mesh.settled();
  };

  for (const { name, yaml, expected } of [...OTHER_CELLS, ...NEW_CELLS, ...OLD_CELLS]) {
    await t.test(name, async () => {
      const said = yaml === '' ? [] : objectsOf(yaml.replaceAll('PORT', `${ports.admin}`));
      await change(said);
      let seen: Taken[] = [];
      await waitUntil(async () => {
        seen = await Promise.all(PORTS.map(takenBy));
        return seen.join() === expected.join() || undefined;
      }, `${name}: expected ${expected.join()}`).catch((error: unknown) => {
        throw new Error(`seen: ${seen.join()}`, { cause: error });
      });
      // Callers of the mesh know by themselves how each port is called.
      for (const [index, port] of [80, 90].entries()) {
        const wanted = expected[index] === '' ? 503 : 200;
        await waitUntil(async () => {
          const { status } = await client.ask({ target: `http://backend.shop:${port}/` });
          return status === wanted || undefined;
        }, `a caller of the mesh gets ${wanted} from port ${port}`);
      }
      assert.deepEqual(await Promise.all(PORTS.map(takenBy)), expected);
    });
  }
});
