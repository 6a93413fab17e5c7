// Every difference between the profiles, seen from outside of the real Envoy: the table has to name
// them all, or it does not compile.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { ApiObject } from '#api/object.ts';
import { openForwarders } from '#controlplane/forwarded-callers.ts';
import { objectCheck } from '#controlplane/object-check.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import type { Hardening } from '#policy/hardening.ts';
import { type HardeningWorld, startHardeningWorld } from '../kit/hardening-world.ts';
import { objectsOf } from '../kit/objects.ts';
import { TokenIssuer } from '../kit/token-issuer.ts';
import { waitUntil } from '../kit/wait-until.ts';

const ISSUER = new TokenIssuer('https://issuer.example');
const JWT = `issuer: "${ISSUER.issuer}", jwks: '${ISSUER.keySet}'`;

const policy = (name: string, spec: string): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec: ${spec}
`;
const tokens = (more: string): string => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: shop }
spec: { jwtRules: [{ ${JWT}${more} }] }
`;
const asks = (name: string, path: string): string =>
  policy(
    name,
    `{ action: CUSTOM, provider: { name: ${name} }, rules: [{ to: [{ operation: { paths: [${path}] } }] }] }`,
  );

/** What does not get in each other's way. */
const COMMON = [
  policy(
    'deny',
    `
  action: DENY
  rules:
    - to: [{ operation: { paths: [/host], hosts: [b.example] } }]
    - to: [{ operation: { paths: ["/a/{*}/c"] } }]
    - to: [{ operation: { paths: [/evil] } }]
      from: [{ source: { namespaces: [evil] } }]
    - to: [{ operation: { paths: [/scheme] } }]
      from: [{ source: { principals: [cluster.local/ns/web/sa/plain, "spiffe://cluster.local/ns/web/sa/written"] } }]
    - to: [{ operation: { paths: [/address] } }]
      from: [{ source: { remoteIpBlocks: [203.0.113.0/24] } }]
    - to: [{ operation: { paths: [/here] } }]
      from: [{ source: { remoteIpBlocks: [127.0.0.0/8] } }]
    - to: [{ operation: { paths: [/level] } }]
      when: [{ key: "request.auth.claims[banned]", values: ["*"] }]`,
  ),
  policy(
    'allow',
    `
  rules:
    - to: [{ operation: { notPaths: [/but, /level] } }]
    - to: [{ operation: { paths: [/but] } }]
      from: [{ source: { notPrincipals: [cluster.local/ns/web/sa/excluded] } }]
    - to: [{ operation: { paths: [/level] } }]
      when: [{ key: "request.auth.claims[level]", values: ["7"] }]`,
  ),
  asks('down', '/asked'),
  tokens(''),
].join('---\n');

/** Rules about requests would deny every connection of TCP. */
const CONNECTIONS = policy(
  'deny',
  '{ action: DENY, rules: [{ from: [{ source: { principals: ["*/sa/denied"] } }] }] }',
);
const REQUIRED = tokens(', presence: REQUIRED');
const OPTIONAL = `
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: default, namespace: shop }
spec: { origins: [{ jwt: { ${JWT} } }], originIsOptional: true, principalBinding: USE_ORIGIN }
`;
const UNKNOWN = asks('nowhere', '/nowhere');

/** How a difference is seen. */
interface Probe {
  /** Policies of its own; those of `COMMON` when left out. */
  readonly policies?: string;
  /** The same in both profiles, and only once the policies are in force. */
  readonly control: (world: HardeningWorld) => Promise<boolean>;
  readonly see: (world: HardeningWorld) => Promise<unknown>;
  readonly istio: unknown;
  readonly strict: unknown;
}

const bearer = (token: string, scheme = 'Bearer') => ({ authorization: `${scheme} ${token}` });
const level = (value: unknown) => bearer(ISSUER.token({ claims: { level: value } }));
const claims = (more: object) => bearer(ISSUER.token({ claims: { level: '7', ...more } }));
const ALWAYS = async (): Promise<boolean> => true;
const DENIED: Pick<Probe, 'istio' | 'strict'> = { istio: 200, strict: 403 };

const PROBES: Readonly<Record<keyof Hardening, Probe>> = {
  hostMatchIgnoresPort: {
    control: async ({ status }) =>
      (await status({ path: '/host', headers: { host: 'b.example' } })) === 403,
    see: ({ status }) => status({ path: '/host', headers: { host: 'b.example:8080' } }),
    ...DENIED,
  },
  templateMatchesAnyCharacter: {
    control: async ({ status }) => (await status({ path: '/a/x/c' })) === 403,
    see: ({ status }) => status({ path: '/a/[x]/c' }),
    ...DENIED,
  },
  fragmentsAreRefused: {
    control: async ({ status }) => (await status({ path: '/a/x/c?q' })) === 403,
    see: async ({ status }) => [
      await status({ path: '/plain#f' }),
      await status({ path: '/a/x/c#f' }),
    ],
    istio: [200, 403],
    strict: [400, 400],
  },
  peerIdentityIsAnchored: {
    control: async ({ status }) =>
      (await status({ path: '/evil', as: 'spiffe://cluster.local/ns/evil/sa/x' })) === 403,
    see: ({ status }) =>
      status({ path: '/evil', as: 'spiffe://cluster.local/ns/good/sa/x/ns/evil/sa/y' }),
    istio: 403,
    strict: 200,
  },
  principalSchemeIsOptional: {
    control: async ({ status }) => (await status({ path: '/scheme', as: 'plain' })) === 403,
    see: ({ status }) => status({ path: '/scheme', as: 'written' }),
    ...DENIED,
  },
  allowByExclusionNeedsPeer: {
    control: async ({ status }) =>
      (await status({ path: '/but', as: 'excluded' })) === 403 &&
      (await status({ path: '/but', as: 'somebody' })) === 200,
    see: ({ status }) => status({ path: '/but' }),
    ...DENIED,
  },
  callerAddressIsPeers: {
    control: async ({ status }) => (await status({ path: '/here' })) === 403,
    see: ({ status }) =>
      status({ path: '/address', headers: { 'x-forwarded-for': '203.0.113.9' } }),
    istio: 403,
    strict: 200,
  },
  proxyHeadersAreStripped: {
    control: ({ passes }) => passes('x-of-application'),
    see: ({ passes }) => passes('x-real-ip'),
    istio: true,
    strict: false,
  },
  providedHeadersAreStripped: {
    control: async ({ status }) => (await status({ path: '/asked' })) === 403,
    see: ({ passes }) => passes('x-user'),
    istio: true,
    strict: false,
  },
  everyCustomMatchIsAsked: {
    control: async ({ status }) => (await status({ path: '/asked' })) === 403,
    // What is different in a moment that cannot be caught: by the beginning of which rules the
    // asking filter knows that it has to ask.
    see: async ({ filters }) => /"prefix": "(istio-ext-authz-\w*)"/.exec(await filters())?.[1],
    istio: 'istio-ext-authz-down',
    strict: 'istio-ext-authz-',
  },
  tcpWaitsForCaller: {
    policies: CONNECTIONS,
    control: ({ greets }) => greets('friend'),
    see: ({ greets }) => greets('denied'),
    istio: true,
    strict: false,
  },
  unknownServersAreNarrowed: {
    control: ALWAYS,
    see: ({ callsVague }) => callsVague(),
    istio: 200,
    strict: 503,
  },
  outsideServersAreNamed: {
    control: ALWAYS,
    see: ({ callsBank }) => callsBank(),
    istio: true,
    strict: false,
  },
  bearerIsChecked: {
    control: async ({ status }) =>
      (await status({ path: '/plain', headers: bearer('x.y.z') })) === 401,
    see: ({ status }) => status({ path: '/plain', headers: bearer('x.y.z', 'bearer') }),
    istio: 200,
    strict: 401,
  },
  presenceSpansLines: {
    control: async ({ status }) =>
      (await status({ path: '/level', headers: claims({ banned: 'a' }) })) === 403 &&
      (await status({ path: '/level', headers: claims({}) })) === 200,
    see: ({ status }) => status({ path: '/level', headers: claims({ banned: 'a\nb' }) }),
    istio: 200,
    strict: 403,
  },
  claimsMatchByText: {
    control: async ({ status }) => (await status({ path: '/level', headers: level('7') })) === 200,
    see: ({ status }) => status({ path: '/level', headers: level(7) }),
    istio: 403,
    strict: 200,
  },
  requiredTokensAreEnforced: {
    policies: REQUIRED,
    control: async ({ status }) =>
      (await status({ path: '/plain', headers: bearer('x.y.z') })) === 401 &&
      (await status({ path: '/a/x/c', headers: bearer(ISSUER.token()) })) === 200,
    see: ({ status }) => status({ path: '/plain' }),
    istio: 200,
    strict: 401,
  },
  badOptionalTokensAreRefused: {
    policies: [
      OPTIONAL,
      policy(
        'users',
        '{ rules: [{ from: [{ source: { principals: ["*"] } }] }, { to: [{ operation: { paths: [/plain] } }] }] }',
      ),
    ].join('---\n'),
    control: async ({ status }) =>
      (await status({ path: '/users', headers: bearer(ISSUER.token()) })) === 200 &&
      (await status({ path: '/users' })) === 403,
    see: ({ status }) => status({ path: '/plain', headers: bearer('x.y.z') }),
    istio: 200,
    strict: 401,
  },
  customProvidersAreIndependent: {
    policies: UNKNOWN,
    control: async ({ status }) => (await status({ path: '/nowhere' })) === 403,
    see: ({ status }) => status({ path: '/plain' }),
    istio: 403,
    strict: 200,
  },
  unknownProvidersAreRefused: {
    policies: UNKNOWN,
    control: ALWAYS,
    see: async ({ settings }) => {
      const check = objectCheck({ settings } as Parameters<typeof objectCheck>[0]);
      const unknown = asks('unheard', '/x');
      return objectsOf(unknown).flatMap((object: ApiObject) => check(object)).length;
    },
    istio: 0,
    strict: 1,
  },
  localProxiesMustBeListed: {
    control: ALWAYS,
    see: async ({ settings }) =>
      openForwarders(['10.0.0.0/8'], settings.hardening)?.trusts('127.0.0.1:1'),
    istio: true,
    strict: false,
  },
};

async function compare(t: TestContext, profile: HardeningProfile): Promise<void> {
  const world = await startHardeningWorld(t, profile);
  let inForce = '';
  for (const [name, { policies = COMMON, control, see, ...expected }] of Object.entries(PROBES)) {
    await t.test(name, async () => {
      if (policies !== inForce) world.apply(policies);
      inForce = policies;
      await waitUntil(() => control(world), 'the policies are in force');
      // A part of them may still be on its way.
      let seen: unknown;
      const isAsExpected = async (): Promise<boolean> => {
        seen = await see(world);
        return isDeepStrictEqual(seen, expected[profile]);
      };
      await waitUntil(isAsExpected, 'the difference is seen', { withinMs: 60_000 }).catch(() => {});
      assert.deepEqual(seen, expected[profile]);
    });
  }
}

for (const profile of ['istio', 'strict'] as const)
  test(`what is particular to the profile ${profile}`, { timeout: 240_000 }, (t) =>
    compare(t, profile),
  );
