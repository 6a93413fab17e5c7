// What users are told about policies on tokens that do less, or more, than they seem to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeySets } from '#model/key-sets.ts';
import type { HardeningProfile, MeshSettings } from '#model/mesh-settings.ts';
import { Authorizer } from '#policy/authz/selection.ts';
import { findingsOf } from '#policy/findings.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { registeredYaml } from '../../../test/kit/mesh-objects.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const WEB = registeredYaml('shop', 'web');
const tokens = (more = '', spec = '', namespace = 'shop') => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: ${namespace} }
spec: { ${spec} jwtRules: [{ issuer: "https://a.test", requireExpiration: true ${more} }] }
`;
const authorization = (spec: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: rules, namespace: shop }
spec: ${spec}
`;
const origins = (...triggers: readonly string[]) => `
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: default, namespace: shop }
spec:
  origins:
${triggers.map((rules, at) => `    - jwt: { issuer: "https://${at}", triggerRules: ${rules} }`).join('\n')}
`;

/** `severity field: message` of what is found about policies on tokens. */
function found(
  texts: readonly string[],
  hardening: HardeningProfile = 'strict',
  changes: Partial<MeshSettings> = {},
): string[] {
  const mesh = testMesh(objectsOf([WEB, ...texts].join('---\n')), { hardening, ...changes });
  const { trustDomain, rootNamespace } = mesh.settings;
  const context = { trustDomain, trustDomainAliases: [], rootNamespace, hardening };
  const findings = findingsOf(mesh.model.snapshot(), new Authorizer(context));
  return [...findings].flatMap(([{ kind }, list]) =>
    kind === 'AuthorizationPolicy'
      ? []
      : list.map(({ severity, field, message }) => `${severity} ${field}: ${message}`),
  );
}

const OPEN = [
  'warning spec.jwtRules: tokens are judged, not required: shop/web-1 takes requests without one',
];

test('tokens that are judged and not required', () => {
  assert.deepEqual(found([tokens()]), OPEN);
  assert.deepEqual(found([tokens('', '', 'istio-system')]), OPEN);
  assert.deepEqual(found([tokens('', 'selector: { matchLabels: { app: other } },')]), []);
  assert.deepEqual(found([tokens('', '', 'elsewhere')]), []);
});

test('a rule that requires them is enough, where that is enforced', () => {
  const required = tokens(', presence: REQUIRED');
  assert.deepEqual(found([required]), []);
  assert.deepEqual(found([required], 'istio'), OPEN);
});

test('so is a policy that speaks of end users, or lets nobody in', () => {
  for (const spec of [
    '{ rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }] }',
    '{ action: DENY, rules: [{ from: [{ source: { notRequestPrincipals: ["*"] } }] }] }',
    '{ rules: [{ when: [{ key: "request.auth.claims[group]", values: ["a"] }] }] }',
    '{}',
  ]) {
    assert.deepEqual(found([tokens(), authorization(spec)]), [], spec);
  }
  for (const spec of [
    '{ rules: [{ from: [{ source: { principals: ["*"] } }] }] }',
    '{ selector: { matchLabels: { app: other } }, rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }] }',
  ]) {
    assert.deepEqual(found([tokens(), authorization(spec)]), OPEN, spec);
  }
});

test('tokens that never end', () => {
  const said = 'a token without exp is taken, and is valid for ever';
  const forEver = tokens(', presence: REQUIRED').replace('requireExpiration: true', '');
  const taken = forEver.replace(' ,', '');
  assert.deepEqual(found([taken]), [`info spec.jwtRules[0]: ${said}`]);
  assert.deepEqual(found([taken], 'strict', { requireTokenExpiration: true }), []);
});

test('triggers that cannot be told apart, and those that can', () => {
  const regex = '[{ includedPaths: [{ regex: "/a.*" }] }]';
  const suffix = '[{ excludedPaths: [{ suffix: .css }] }]';
  const prefix = '[{ includedPaths: [{ prefix: /a }] }]';
  const exact = '[{ excludedPaths: [{ exact: /a }] }, { includedPaths: [{ exact: /b }] }]';
  assert.deepEqual(found([origins(regex)]), []);
  assert.deepEqual(found([origins(regex, regex)]), []);
  assert.deepEqual(found([origins(prefix, exact)]), []);
  for (const policy of [origins(regex, prefix), origins(suffix, exact)]) {
    const [first, ...more] = found([policy]);
    assert.match(first ?? '', /^warning spec\.origins: every request is refused: /);
    assert.deepEqual(more, []);
  }
});

test('keys that are not there are told, and not by who fetches none', () => {
  const { model, settings } = testMesh(
    objectsOf([WEB, tokens(', jwksUri: "https://a.test/k"')].join('---\n')),
  );
  const lines = (): readonly string[] => {
    const findings = findingsOf(model.snapshot(), new Authorizer(settings));
    return [...findings.values()].flat().map(({ message }) => message);
  };
  const told = /^there are no keys of https:\/\/a\.test: every token of it is refused \(401\)$/m;
  assert.doesNotMatch(lines().join('\n'), told);
  model.useKeySets(new KeySets(new Map()));
  assert.match(lines().join('\n'), told);
  model.useKeySets(new KeySets(new Map([['keys https://a.test/k', '{"keys":[]}']])));
  assert.doesNotMatch(lines().join('\n'), told);
});
