// How conditions of the Gateway API get into the status of objects.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { withGatewayApiStatus } from '#controlplane/gateway-api-status.ts';
import { GatewayApiStates } from '#policy/gateway/gateway-api-state.ts';
import { testMesh } from '../../test/kit/mesh.ts';
import { objectsOf } from '../../test/kit/objects.ts';

const OBJECTS = objectsOf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: g, namespace: edge, generation: 2 }
spec: { gatewayClassName: istio, listeners: [{ name: web, port: 80, protocol: HTTP }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: edge, generation: 3 }
spec: { parentRefs: [{ name: g }, { name: theirs }] }
`);
const THEIRS = { parentRef: { name: 'theirs' }, controllerName: 'other.io/c', conditions: [] };
const [HOUR, LATER] = [3_600_000, 7_200_000];

function setUp() {
  const states = new GatewayApiStates(testMesh(OBJECTS).model.snapshot());
  const told = (object: ApiObject, now: number) => withGatewayApiStatus(object, states, now);
  const [gateway, route] = OBJECTS;
  assert.ok(gateway && route);
  return { told, gateway, route };
}

test('a Gateway has the conditions of the Gateway API, and keeps those of others', () => {
  const { told, gateway } = setUp();
  const other = { type: 'Theirs', status: 'True' };
  const first = told({ ...gateway, status: { conditions: [other] } } as ApiObject, HOUR);
  const { conditions } = (first as unknown as { status: { conditions: object[] } }).status;
  assert.deepEqual(conditions, [
    other,
    {
      type: 'Accepted',
      status: 'True',
      reason: 'Accepted',
      message: 'every listener can be served',
      observedGeneration: 2,
      lastTransitionTime: '1970-01-01T01:00:00.000Z',
    },
    {
      type: 'Programmed',
      status: 'False',
      reason: 'NoResources',
      message:
        'no workload of namespace edge has the label gateway.networking.k8s.io/gateway-name: g',
      observedGeneration: 2,
      lastTransitionTime: '1970-01-01T01:00:00.000Z',
    },
  ]);
  assert.equal(first && told(first, LATER), undefined, 'nothing new');
});

test('a route has an entry for each Gateway of ours, and keeps those of others', () => {
  const { told, route } = setUp();
  const first = told({ ...route, status: { parents: [THEIRS] } } as ApiObject, HOUR);
  type Parents = readonly { parentRef: object; controllerName: string; conditions: object[] }[];
  const { parents } = (first as unknown as { status: { parents: Parents } }).status;
  assert.deepEqual(parents[0], THEIRS);
  assert.deepEqual(
    parents.slice(1).map(({ parentRef, controllerName }) => [parentRef, controllerName]),
    [[{ name: 'g' }, 'istio.io/gateway-controller']],
  );
  const times = { observedGeneration: 3, lastTransitionTime: '1970-01-01T01:00:00.000Z' };
  const [accepted] = parents[1]?.conditions ?? [];
  const message = 'a listener takes the route';
  assert.deepEqual(accepted, {
    type: 'Accepted',
    status: 'True',
    reason: 'Accepted',
    message,
    ...times,
  });
  assert.equal(first && told(first, LATER), undefined, 'nothing new');
});
