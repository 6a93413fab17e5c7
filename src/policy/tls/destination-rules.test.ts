import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { type ClientRule, ClientRules, type RuleClient } from '#policy/tls/destination-rules.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const SERVICE = objectsOf(`
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { ports: [{ name: http, port: 80 }] }
`);
const HOST = 'web.shop.svc.cluster.local';
const SHOP: RuleClient = { namespace: 'shop', labels: { app: 'caller' } };

/** Rules are as old as their place among all: the first one is the oldest. */
function rules(...specs: readonly (readonly [namespace: string, spec: string])[]): ApiObject[] {
  return specs.flatMap(([namespace, spec], position) =>
    objectsOf(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: rule-${position}
  namespace: ${namespace}
  creationTimestamp: '2026-01-0${position + 1}T00:00:00Z'
spec: ${spec}
`),
  );
}

function ruleFor(client: RuleClient, objects: readonly ApiObject[]): ClientRule | undefined {
  const { model, settings } = testMesh([...SERVICE, ...objects]);
  const { destinationRules, services } = model.snapshot();
  const service = services.viewOf(client.namespace).byHost.get(HOST);
  assert.ok(service);
  return new ClientRules(destinationRules, client, settings).ruleFor(service);
}

const DISABLE = 'trafficPolicy: { tls: { mode: DISABLE } }';
const MUTUAL = 'trafficPolicy: { tls: { mode: ISTIO_MUTUAL } }';
const SELECTED = 'workloadSelector: { matchLabels: { app: caller } }';
const modeOf = (rule: ClientRule | undefined) => rule?.policy?.tls?.mode;

test('rules for one host count as one: the oldest policy, and every subset by its oldest meaning', () => {
  const rule = ruleFor(
    SHOP,
    rules(
      ['shop', '{ host: web, subsets: [{ name: v1, labels: { version: v1 } }] }'],
      ['shop', `{ host: ${HOST}, ${DISABLE}, subsets: [{ name: v1 }, { name: v2 }] }`],
      ['shop', `{ host: web, ${MUTUAL} }`],
    ),
  );
  assert.equal(modeOf(rule), 'DISABLE');
  assert.equal(rule?.from.metadata.name, 'rule-1', 'the object that the policy is in is named');
  assert.deepEqual(
    rule.subsets.map(({ name, labels, from }) => [name, labels, from.metadata.name]),
    [
      ['v1', { version: 'v1' }, 'rule-0'],
      ['v2', {}, 'rule-1'],
    ],
  );
});

test('a wider rule says nothing where a narrower one covers the host', () => {
  const wide = `{ host: '*.svc.cluster.local', ${DISABLE} }`;
  const narrow = '{ host: web, subsets: [{ name: v1 }] }';
  assert.equal(modeOf(ruleFor(SHOP, rules(['shop', wide]))), 'DISABLE');
  assert.equal(modeOf(ruleFor(SHOP, rules(['shop', wide], ['shop', narrow]))), undefined);
});

test('a rule that selects the caller comes before older ones for everybody, and fills up from them', () => {
  const everybody = `{ host: web, ${DISABLE}, subsets: [{ name: v1 }] }`;
  const selected = ruleFor(
    SHOP,
    rules(['shop', everybody], ['shop', `{ host: web, ${SELECTED}, ${MUTUAL} }`]),
  );
  assert.equal(modeOf(selected), 'ISTIO_MUTUAL');
  assert.equal(selected?.selectsClient, true);
  assert.deepEqual(
    selected.subsets.map(({ name }) => name),
    ['v1'],
  );
  const other = ruleFor(
    { ...SHOP, labels: { app: 'other' } },
    rules(['shop', everybody], ['shop', `{ host: web, ${SELECTED}, ${MUTUAL} }`]),
  );
  assert.equal(modeOf(other), 'DISABLE');
  assert.equal(other?.selectsClient, false);
});

test('callers in the root namespace go by the rules of the service before those of the mesh', () => {
  const client = { ...SHOP, namespace: 'istio-system' };
  const mesh = `{ host: '*.local', ${DISABLE} }`;
  const service = `{ host: web, ${MUTUAL} }`;
  const both = rules(['istio-system', mesh], ['shop', service]);
  assert.equal(modeOf(ruleFor(client, both)), 'ISTIO_MUTUAL');
  assert.equal(modeOf(ruleFor(client, rules(['istio-system', mesh]))), 'DISABLE');
  const own = rules(['istio-system', `{ host: '*.local', exportTo: [.], ${DISABLE} }`]);
  assert.equal(modeOf(ruleFor(client, [...own, ...rules(['shop', service])])), 'DISABLE');
});
