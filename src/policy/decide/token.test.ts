import { describe, it } from 'node:test';
import { checkDecision, type DecidedCase, NOW_MS, policy } from '../../../test/kit/decided-call.ts';

const USERS = `---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: users, namespace: shop}
spec:
  jwtRules: [{issuer: https://a.example, audiences: [web], jwksUri: https://a.example/keys}]
`;

const ALICE = { iss: 'https://a.example', sub: 'alice', aud: ['web'] };

const CASES: readonly DecidedCase[] = [
  ['a good token is taken', { yaml: USERS, claims: ALICE }, 'allow allow'],
  ['no token is needed unless somebody says so', { yaml: USERS }, 'allow allow'],
  [
    'a token of another issuer is refused',
    { yaml: USERS, claims: { ...ALICE, iss: 'https://b.example' } },
    'deny token',
    'users',
    'spec.jwtRules[0]',
  ],
  [
    'a token for another audience is refused',
    { yaml: USERS, claims: { ...ALICE, aud: 'mail' } },
    'deny token',
    'users',
    'spec.jwtRules[0]',
  ],
  [
    'a token that has expired is refused',
    { yaml: USERS, claims: { ...ALICE, exp: NOW_MS / 1000 - 61 } },
    'deny token',
    'users',
    'spec.jwtRules[0]',
  ],
  [
    'so is one that is not valid yet',
    { yaml: USERS, claims: { ...ALICE, nbf: NOW_MS / 1000 + 61 } },
    'deny token',
    'users',
    'spec.jwtRules[0]',
  ],
  [
    'clocks may be off by a minute',
    { yaml: USERS, claims: { ...ALICE, exp: NOW_MS / 1000 - 59, nbf: NOW_MS / 1000 + 59 } },
    'allow allow',
  ],
  [
    'a required token that is missing is asked for',
    { yaml: USERS.replace('{issuer', '{presence: REQUIRED, issuer') },
    'deny token',
    'users',
    'spec.jwtRules[0]',
  ],
  [
    'in the profile istio nobody asks for it',
    {
      yaml: USERS.replace('{issuer', '{presence: REQUIRED, issuer'),
      settings: { hardening: 'istio' },
    },
    'allow allow',
  ],
  [
    'a user that a policy names gets in',
    {
      yaml: `${USERS}${policy(
        'alice',
        '{rules: [{from: [{source: {requestPrincipals: ["https://a.example/alice"]}}]}]}',
      )}`,
      claims: ALICE,
    },
    'allow allow',
    'alice',
    'spec.rules[0].from[0].source.requestPrincipals',
  ],
  [
    'claims of a token that nobody judges do not count',
    {
      yaml: policy('users', '{rules: [{from: [{source: {requestPrincipals: ["*"]}}]}]}'),
      claims: ALICE,
    },
    'deny allow',
    'users',
    'spec.rules[0].from[0].source.requestPrincipals',
  ],
  [
    'origins of a Policy ask for a token',
    {
      yaml: `---
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: {name: old, namespace: shop}
spec:
  peers: [{mtls: {}}]
  origins: [{jwt: {issuer: https://a.example, jwksUri: https://a.example/keys}}]
`,
    },
    'deny token',
    'old',
    'spec.origins[0].jwt',
  ],
  [
    'origins whose paths cannot be told apart refuse everything',
    {
      yaml: `---
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: {name: old, namespace: shop}
spec:
  originIsOptional: true
  origins:
    - jwt:
        issuer: https://a.example
        jwksUri: https://a.example/keys
        triggerRules: [{includedPaths: [{suffix: .x}]}, {includedPaths: [{suffix: .y}]}]
`,
    },
    'deny token',
    'old',
    'spec.origins[0].jwt',
  ],
  [
    'in the profile istio a fragment does not change what token a path needs',
    {
      path: '/open#x',
      settings: { hardening: 'istio' },
      yaml: `---
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: {name: old, namespace: shop}
spec:
  origins:
    - jwt:
        issuer: https://a.example
        jwksUri: https://a.example/keys
        triggerRules: [{excludedPaths: [{exact: /open}]}]
`,
    },
    'allow allow',
  ],
];

describe('a decision about the token of a call', () => {
  for (const one of CASES) it(one[0], () => checkDecision(one));
});
