// What agents are asked, and where nobody is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TYPE_URL, type XdsSnapshot } from '#xds/resource.ts';
import { testMesh, testProxy } from '../../../../test/kit/mesh.ts';
import { authorizationFor, rule } from '../../../../test/kit/mixer-rules.ts';
import { objectsOf } from '../../../../test/kit/objects.ts';
import { agentQuestion } from './agent-question.ts';

const ASKED = 'toLower(request.headers["X-Version"]) == request.useragent';
const question = (match: string) => agentQuestion(authorizationFor({ app: 'shop' }, rule(match)));

function program(match: string): readonly unknown[] {
  const { program: text = '' } = question(match) ?? {};
  return Object.values(JSON.parse(Buffer.from(text, 'base64url').toString()) as object);
}

test('the question has the expressions, and the headers that they name', () => {
  assert.deepEqual(program(`${ASKED} && request.method == "GET"`), [ASKED]);
  assert.deepEqual(question(ASKED)?.headers, ['user-agent', 'x-version']);
  assert.deepEqual(question('request.host == request.method')?.headers, []);
  assert.deepEqual(program('destination.labels["app"] + request.host == "shopx"'), [
    '"shop" + request.host',
  ]);
});

test('it is asked about what the rest of a rule covers, by each distinct rule once', () => {
  const rules = question(`request.method == "GET" && (${ASKED} || size(request.host) > 5)`)?.rules;
  assert.equal(rules?.length, 1);
  const [only] = rules ?? [];
  assert.deepEqual(
    only?.operations.flat().map(({ on }) => on),
    ['method'],
  );
});

test('there is none where Envoy needs nobody, and none that is too long', () => {
  assert.equal(question('request.method == "GET"'), undefined);
  const wide = (times: number) =>
    Array.from(
      { length: times },
      (_, at) => `request.host + "${'x'.repeat(900)}${at}" == request.method`,
    ).join(' && ');
  assert.ok(question(wide(3)));
  assert.equal(question(wide(20)), undefined);
});

const OBJECTS = objectsOf(`
apiVersion: v1
kind: Service
metadata: { name: shop, namespace: foo }
spec: { selector: { app: shop }, ports: [{ name: http, port: 80 }] }
---
apiVersion: config.istio.io/v1alpha2
kind: denier
metadata: { name: deny, namespace: foo }
---
apiVersion: config.istio.io/v1alpha2
kind: checknothing
metadata: { name: nothing, namespace: foo }
---${rule(ASKED, 'deny.denier', 'nothing.checknothing')}`);

function snapshot(agentSocket: string | undefined): XdsSnapshot {
  const mesh = testMesh(OBJECTS);
  const proxy = testProxy({ namespace: 'foo', labels: { app: 'shop' }, agentSocket });
  return mesh.generator.snapshotFor(proxy, mesh.model.snapshot());
}

const holds = (found: XdsSnapshot, type: keyof typeof TYPE_URL, text: string): boolean =>
  [...(found.get(TYPE_URL[type])?.values() ?? [])].some(({ encoded }) =>
    Buffer.from(encoded).includes(text),
  );

test('a proxy with an agent asks it', () => {
  const found = snapshot('/run/web/sds.sock');
  assert.ok(found.get(TYPE_URL.cluster)?.has('bulwark-agent'));
  assert.ok(holds(found, 'cluster', '/run/web/sds.sock'));
  assert.ok(holds(found, 'listener', 'authz.http.agent.check'));
});

test('a proxy without one asks nobody, and still has the rule', () => {
  const found = snapshot(undefined);
  assert.ok(!found.get(TYPE_URL.cluster)?.has('bulwark-agent'));
  assert.ok(!holds(found, 'listener', 'authz.http.agent.check'));
  const deny = found.get(TYPE_URL.extensionConfig)?.get('authz.http.deny');
  assert.ok(Buffer.from(deny?.encoded ?? []).includes('envoy.filters.http.ext_authz'));
});
