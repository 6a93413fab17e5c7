// Two resources that decide together never do so half old and half new.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TYPE_URL, type XdsResource } from '#xds/resource.ts';
import { nextStep } from '#xds/serve/joint-steps.ts';
import type { ResourceMap } from '#xds/serve/resource-diff.ts';
import { testMesh, testProxy } from '../../../test/kit/mesh.ts';
import { objectsOf, serviceObjects } from '../../../test/kit/objects.ts';

const DENY = 'authz.http.deny';
const ALLOW = 'authz.http.allow';

const policy = (spec: string, name = 'p') => `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: default }
spec: ${spec}
`;
const rule = (path: string) => `rules: [{ to: [{ operation: { paths: [${path}] } }] }]`;
const allow = (path: string) => policy(`{ action: ALLOW, ${rule(path)} }`);
const deny = (path: string) => policy(`{ action: DENY, ${rule(path)} }`);

function filtersOf(yaml: string): ResourceMap {
  const service = serviceObjects('default', 'app', [{ name: 'http', port: 80 }]);
  const { generator, model } = testMesh([...service, ...objectsOf(yaml).filter(Boolean)]);
  const resources = generator.snapshotFor(testProxy(), model.snapshot());
  return resources.get(TYPE_URL.extensionConfig) ?? new Map();
}

/** Every state of the two on the way; `later` is what is wanted after the first step. */
function way(from: ResourceMap, to: ResourceMap, later = to): ResourceMap[] {
  const states = [from];
  let wanted = to;
  for (let has = from; has !== wanted && states.length < 10; ) {
    const held = has;
    has = nextStep({ resource: (name) => held.get(name) }, wanted);
    if (states.length === 1) wanted = later;
    states.push(has);
  }
  return states;
}

function changed(before: ResourceMap | undefined, after: ResourceMap | undefined): string[] {
  return [DENY, ALLOW].filter((name) => versionOf(before, name) !== versionOf(after, name));
}

function versionOf(map: ResourceMap | undefined, name: string): string | undefined {
  return map?.get(name)?.version;
}

/** The texts that a resource is about: enough to see whose rules are in it. */
function has(resource: XdsResource | undefined, text: string): boolean {
  return Buffer.from(resource?.encoded ?? []).includes(text);
}

const NONE = filtersOf('');

test('from ALLOW to DENY and back only one of the two changes at a time', () => {
  const [allowing, denying] = [filtersOf(allow('/one')), filtersOf(deny('/two'))];
  for (const [from, to] of [
    [allowing, denying],
    [denying, allowing],
  ] as const) {
    const states = way(from, to);
    assert.equal(states.at(-1), to);
    const steps = states.slice(1).map((state, index) => changed(states[index], state));
    // What denies more comes first, what denies less last.
    assert.deepEqual(steps, to === denying ? [[DENY], [ALLOW]] : [[ALLOW], [DENY]]);
  }
});

test('where both have other rules, both deny until the other one changed', () => {
  const from = filtersOf(allow('/one') + policy(`{ action: DENY, ${rule('/two')} }`, 'q'));
  const to = filtersOf(allow('/three') + policy(`{ action: DENY, ${rule('/four')} }`, 'q'));
  const [, first, second, third, ...more] = way(from, to);
  assert.deepEqual(changed(from, first), [DENY]);
  assert.ok(has(first?.get(DENY), '/two') && has(first?.get(DENY), '/four'));
  assert.deepEqual(changed(first, second), [ALLOW]);
  assert.deepEqual(changed(second, third), [DENY]);
  assert.deepEqual([third, more], [to, []]);
});

test('what changes meanwhile is on the way, too', () => {
  const [from, to] = [filtersOf(allow('/one')), filtersOf(deny('/two'))];
  const later = filtersOf(deny('/three'));
  const states = way(from, to, later);
  assert.equal(states.at(-1), later);
  for (const [index, state] of states.slice(1).entries())
    assert.ok(changed(states[index], state).length <= 1);
  // Without ALLOW rules nothing is refused but by DENY: those of the last are there in time.
  const opened = states.find((state) => versionOf(state, ALLOW) === versionOf(to, ALLOW));
  assert.ok(has(opened?.get(DENY), '/three'));
});

test('a policy of many rules, in its other form, is joined with what comes after it', () => {
  const caller = (at: number) => `cluster.local/ns/team/sa/app-${at}`;
  const rules = Array.from({ length: 300 }, (_, at) => {
    const from = `from: [{ source: { principals: [${caller(at)}] } }]`;
    return `{ ${from}, to: [{ operation: { paths: [/many/${at}] } }] }`;
  });
  const many = filtersOf(policy(`{ action: DENY, rules: [${rules}] }`));
  assert.ok(has(many.get(DENY), 'ExtensionWithMatcher'));
  const few = filtersOf(allow('/one') + policy(`{ action: DENY, ${rule('/two')} }`, 'q'));
  for (const [from, to] of [
    [many, few],
    [few, many],
  ] as const) {
    const states = way(from, to);
    const [, joined] = states;
    assert.ok(has(joined?.get(DENY), '/many/299') && has(joined?.get(DENY), '/two'));
    assert.deepEqual(changed(from, joined), [DENY]);
    assert.equal(states.at(-1), to);
  }
});

test('one that changes alone, and what was not there before, goes at once', () => {
  const [one, two] = [filtersOf(allow('/one')), filtersOf(allow('/two'))];
  assert.equal(nextStep({ resource: (name) => one.get(name) }, two), two);
  assert.equal(nextStep({ resource: () => undefined }, two), two);
  assert.equal(nextStep({ resource: (name) => NONE.get(name) }, two), two);
});

test('two proxies on the same way get the same objects', () => {
  const [from, to] = [filtersOf(allow('/one')), filtersOf(deny('/two'))];
  const step = () => nextStep({ resource: (name) => from.get(name) }, to);
  assert.equal(step(), step());
});
