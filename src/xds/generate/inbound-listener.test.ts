import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonValue } from '@bufbuild/protobuf';
import type { ApiObject } from '#api/object.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { type TestMesh, testMesh, testProxy } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';
import { resourceJson } from '../../../test/kit/xds-json.ts';

const SERVICE = objectsOf(`
apiVersion: v1
kind: Service
metadata: { name: app, namespace: default }
spec:
  selector: { app: app }
  ports: [{ name: http, port: 80 }, { name: plain, port: 81 }, { name: tcp, port: 82 }]
`);

function mode(value: string): ApiObject[] {
  return objectsOf(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: default }
spec: { mtls: { mode: ${value} } }
`);
}

/** The inbound listener in two parts: its filter chains, and all else. */
function listenerOf(mesh: TestMesh): { chains: JsonValue; rest: JsonValue } {
  const proxy = testProxy({ labels: { app: 'app' } });
  const listener = mesh.generator
    .snapshotFor(proxy, mesh.model.snapshot())
    .get(TYPE_URL.listener)
    ?.get('virtualInbound');
  assert.ok(listener);
  const { filter_chains: chains, ...rest } = resourceJson(listener) as Record<string, JsonValue>;
  return { chains: chains ?? null, rest };
}

/** The chains of each port, and of all others together. */
function chainsByPort(mesh: TestMesh): Map<number | undefined, string> {
  type Chain = { readonly filter_chain_match?: { readonly destination_port?: number } };
  const { chains } = listenerOf(mesh);
  const byPort = Map.groupBy(
    chains as readonly Chain[],
    (chain) => chain.filter_chain_match?.destination_port,
  );
  return new Map([...byPort].map(([port, own]) => [port, JSON.stringify(own)]));
}

test('to enforce mutual TLS only filter chains change, so that nothing else drains', () => {
  const mesh = testMesh(SERVICE);
  const permissive = listenerOf(mesh);
  mesh.put(...mode('STRICT'));
  const strict = listenerOf(mesh);
  assert.deepEqual(strict.rest, permissive.rest);
  assert.notDeepEqual(strict.chains, permissive.chains);
});

test('a new HTTP port of a workload changes filter chains only', () => {
  const mesh = testMesh(SERVICE);
  const before = listenerOf(mesh);
  mesh.put(
    ...objectsOf(`
apiVersion: v1
kind: Service
metadata: { name: more, namespace: default }
spec: { selector: { app: app }, ports: [{ name: http, port: 90 }] }
`),
  );
  const after = listenerOf(mesh);
  assert.deepEqual(after.rest, before.rest);
  assert.notDeepEqual(after.chains, before.chains);
});

test('rules for one port change the chains of that port only', () => {
  const mesh = testMesh(SERVICE);
  const before = chainsByPort(mesh);
  mesh.put(
    ...objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny, namespace: default }
spec: { action: DENY, rules: [{ to: [{ operation: { ports: ['82'] } }] }] }
`),
  );
  const after = chainsByPort(mesh);
  const changed = [...before.keys()].filter((port) => before.get(port) !== after.get(port));
  assert.deepEqual(changed, [82]);
});
