import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AuthorizationRule } from '#api/kinds/authorization-policy.ts';
import { evaluate } from '#policy/authz/evaluate.ts';
import type { AuthzRequest, HttpFacts } from '#policy/authz/request.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { authorizationOf, authorizationPolicy } from '../kit/authorization-policy.ts';
import { type EnvoyVerdict, startAuthzEnvoy } from '../kit/authz-envoy.ts';
import { startGuardedApp } from '../kit/guarded-app.ts';

// What attackers have tried on policies of other meshes, against the real Envoy. The profile
// `istio` lets through what Istio does; `strict` does not.

type Verdict = EnvoyVerdict['verdict'];

interface Attack {
  readonly name: string;
  readonly action: 'ALLOW' | 'DENY';
  readonly rule: AuthorizationRule;
  readonly requests: readonly {
    readonly request: AuthzRequest;
    readonly istio: Verdict;
    readonly strict: Verdict;
  }[];
}

const BASE = {
  source: { address: '127.0.0.1', originalAddress: '127.0.0.1' },
  destination: { address: '127.0.0.1', port: 8080 },
};

function http(change: Partial<HttpFacts>): AuthzRequest {
  return { ...BASE, http: { method: 'GET', target: '/', host: 'x', ...change } };
}

/** A plain connection from a workload of the mesh; from nobody when undefined. */
function plain(path: string | undefined): AuthzRequest {
  if (path === undefined) return BASE;
  const identity = parseSpiffeId(`spiffe://cluster.local/${path}`);
  return { ...BASE, source: { ...BASE.source, identity } };
}

/** An HTTP request from it. */
function from(path: string | undefined): AuthzRequest {
  return { ...http({}), ...plain(path) };
}

const DENIED = { istio: 'deny', strict: 'deny' } as const;
const ALLOWED = { istio: 'allow', strict: 'allow' } as const;
const MALFORMED = { istio: 'malformed', strict: 'malformed' } as const;
const CLOSED_BY_STRICT = { istio: 'allow', strict: 'deny' } as const;

const toPaths = (...paths: string[]): AuthorizationRule => ({ to: [{ operation: { paths } }] });

function targets(expected: Pick<Attack['requests'][number], 'istio' | 'strict'>, ...all: string[]) {
  return all.map((target) => ({ request: http({ target }), ...expected }));
}

const ATTACKS: readonly Attack[] = [
  {
    name: 'a denied path in other spellings',
    action: 'DENY',
    rule: toPaths('/admin', '/admin/*'),
    requests: [
      ...targets(DENIED, '/admin', '/admin?x', '/./admin', '/x/../admin', '/x/%2e%2e/admin'),
      ...targets(DENIED, '/%61dmin', '/..;/admin', '/admin\\x', '/x\\..\\admin', 'http://y/admin'),
      ...targets(CLOSED_BY_STRICT, '//admin', '/x/..//admin', '/%2Fadmin', '/%5Cadmin'),
      ...targets(CLOSED_BY_STRICT, '/admin%2fx', '/x%2f..%2fadmin', '/admin%5cx'),
      ...targets(MALFORMED, '/admin%00'),
      ...targets({ istio: 'deny', strict: 'malformed' }, '/admin#x'),
      // Not ours to know: a backend may or may not take these for the same.
      ...targets(ALLOWED, '/ADMIN', '/admin;a=b', '/%2561dmin', '/administrator'),
    ],
  },
  {
    name: 'a denied path in front of which the caller puts something',
    action: 'DENY',
    rule: toPaths('/secret', '/shop.Cart/Add'),
    requests: [
      ...targets(DENIED, '/secret', 'HTTP://y/secret', 'http://y:80/x/../secret'),
      // A reader of URLs would take `admin` for a host, and lose it.
      ...targets(ALLOWED, '//admin/secret'),
      // As an HTTP/2 caller may write the path of a gRPC method.
      ...targets(MALFORMED, 'shop.Cart/Add', 'secret', '?/secret'),
    ],
  },
  {
    name: 'an allowed path that a caller claims to have asked for',
    action: 'ALLOW',
    rule: toPaths('/public', '/live'),
    requests: [
      ...['x-envoy-original-path', 'x-original-url', 'x-rewrite-url', 'x-forwarded-uri'].map(
        (name) => ({
          request: http({ target: '/admin', headers: { [name]: '/public' } }),
          ...DENIED,
        }),
      ),
      ...targets(DENIED, '//admin/public', '/admin?/public', '/publicly'),
      ...targets(ALLOWED, '/public', '/live?probe=1', '/public?x=/admin'),
    ],
  },
  {
    name: 'a denied path template with odd characters',
    action: 'DENY',
    rule: toPaths('/a/{*}', '/b/{**}'),
    requests: [
      ...targets(DENIED, '/a/x', '/a/*', '/a/%2A', '/a/;', '/a/=', "/a/'", '/b/', '/b/x/y', '/b/*'),
      ...targets(CLOSED_BY_STRICT, '/a/[x]', '/a/x]', '/b/x/[y]'),
      ...targets(ALLOWED, '/a', '/a/', '/a/x/y', '/b'),
    ],
  },
  {
    name: 'a denied host in other spellings',
    action: 'DENY',
    rule: { to: [{ operation: { hosts: ['secret.com'] } }] },
    requests: [
      ...['secret.com', 'Secret.com', 'SECRET.COM'].map((host) => ({
        request: http({ host }),
        ...DENIED,
      })),
      ...['secret.com:8080', 'secret.com:', 'secret.com.', 'Secret.Com.:80'].map((host) => ({
        request: http({ host }),
        ...CLOSED_BY_STRICT,
      })),
      ...['secretXcom', 'x.secret.com', 'secret.com.evil'].map((host) => ({
        request: http({ host }),
        ...ALLOWED,
      })),
    ],
  },
  {
    name: 'a denied header among others of its name',
    action: 'DENY',
    rule: { when: [{ key: 'request.headers[x-role]', values: ['admin'] }] },
    requests: [
      ...[['admin'], ['admin', 'user'], ['user', 'admin'], ['admin \t']].map((values) => ({
        request: http({ headers: { 'X-Role': values } }),
        ...DENIED,
      })),
      { request: http({ headers: { 'x-role': 'user' } }), ...ALLOWED },
      // What is for this connection alone goes no further: the application does not get it either.
      ...['x-role', 'X-Role, close', 'keep-alive, x-role'].map((connection) => ({
        request: http({ headers: { 'x-role': 'admin', connection } }),
        ...ALLOWED,
      })),
      {
        request: http({ headers: { 'x-role': 'admin', connection: 'x-forwarded-for' } }),
        ...MALFORMED,
      },
      // Not ours to know: a backend may or may not take these for the same.
      ...[{ x_role: 'admin' }, { 'x-role': 'ADMIN' }, { 'x-role': 'admin2' }].map((headers) => ({
        request: http({ headers }),
        ...ALLOWED,
      })),
    ],
  },
  {
    name: 'a denied value among several in one line',
    action: 'DENY',
    rule: { when: [{ key: 'request.headers[x-role]', values: ['admin'] }] },
    requests: [{ request: http({ headers: { 'x-role': 'user, admin' } }), ...ALLOWED }],
  },
  {
    name: 'a caller without identity where a policy says who it must not be',
    action: 'ALLOW',
    rule: { from: [{ source: { notNamespaces: ['evil'], notPrincipals: ['cluster.local/x'] } }] },
    requests: [
      { request: from(undefined), ...CLOSED_BY_STRICT },
      { request: plain(undefined), ...CLOSED_BY_STRICT },
      { request: from('ns/evil/sa/a'), ...DENIED },
      { request: from('ns/good/sa/a'), ...ALLOWED },
    ],
  },
  {
    name: 'an account whose name fits a pattern that was meant as text',
    action: 'ALLOW',
    rule: { from: [{ source: { serviceAccounts: ['a.b'] } }, { source: { namespaces: ['n.p'] } }] },
    requests: [
      { request: from('ns/foo/sa/a.b'), ...ALLOWED },
      { request: from('ns/foo/sa/axb'), ...DENIED },
      { request: from('ns/n.p/sa/a'), ...ALLOWED },
      { request: from('ns/nxp/sa/a'), ...DENIED },
    ],
  },
  {
    name: 'a namespace pattern that finds its text elsewhere in the identity',
    action: 'ALLOW',
    rule: { from: [{ source: { namespaces: ['*sa'] } }] },
    requests: [
      { request: from('ns/visa/sa/a'), ...ALLOWED },
      { request: from('ns/bar/sa/a'), ...CLOSED_BY_STRICT },
    ],
  },
  {
    name: 'a denied principal with a wildcard, on a plain connection too',
    action: 'DENY',
    rule: { from: [{ source: { principals: ['*/ns/foo/sa/a'] } }] },
    requests: [
      { request: plain('ns/foo/sa/a'), ...DENIED },
      { request: from('ns/foo/sa/a'), ...DENIED },
      { request: plain('ns/foo/sa/b'), ...ALLOWED },
    ],
  },
  {
    name: 'a denied principal written with its scheme',
    action: 'DENY',
    rule: { from: [{ source: { principals: ['spiffe://cluster.local/ns/foo/sa/a'] } }] },
    requests: [
      { request: from('ns/foo/sa/a'), ...CLOSED_BY_STRICT },
      { request: from('ns/foo/sa/b'), ...ALLOWED },
    ],
  },
  {
    name: 'a plain connection to a port whose policy is about HTTP',
    action: 'DENY',
    rule: { to: [{ operation: { methods: ['DELETE'] } }] },
    requests: [
      { request: plain('ns/foo/sa/a'), ...DENIED },
      { request: from('ns/foo/sa/a'), ...ALLOWED },
    ],
  },
];

it('a header that a caller says is for the connection does not reach the application', async (t) => {
  const app = await startGuardedApp(t);
  const headers = { 'x-role': 'admin', 'x-other': '1', connection: 'x-role' };
  const { seen } = await app.ask('/', headers);
  assert.deepEqual([seen?.headers['x-role'], seen?.headers['x-other']], [undefined, '1']);
});

for (const profile of ['istio', 'strict'] as const) {
  describe(`attacks on policies, profile ${profile}`, () => {
    it('come out as written down, by Envoy and by the evaluator', async (t) => {
      const authorizations = ATTACKS.map(({ action, rule }) =>
        authorizationOf([authorizationPolicy({ action, rules: [rule] })], profile),
      );
      const envoy = await startAuthzEnvoy(t, authorizations, profile);
      for (const [index, { name, requests }] of ATTACKS.entries()) {
        const authorization = authorizations[index];
        assert.ok(authorization);
        for (const { request, ...expected } of requests) {
          const what = `${name}: ${JSON.stringify(request)}`;
          const { verdict } = await envoy.decide(index, request);
          assert.equal(verdict, expected[profile], what);
          const { decision } = evaluate(authorization, request, profile);
          assert.equal(decision, verdict === 'malformed' ? 'deny' : verdict, what);
        }
      }
    });
  });
}
