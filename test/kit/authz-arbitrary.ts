import fc from 'fast-check';
import type { AuthorizationPolicy, AuthorizationRule } from '#api/kinds/authorization-policy.ts';
import type { AuthzRequest } from '#policy/authz/request.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';

// Random policies and requests over few words, so that rules match about as often as they do not.
// Among the words are those that matchers get wrong: a dot that an expression would take for any
// letter, a namespace that is the beginning of another, a path that hides a slash.

/** Identities that callers may have. */
export const CALLERS = [
  'spiffe://cluster.local/ns/foo/sa/a',
  'spiffe://cluster.local/ns/foo/sa/a.b',
  'spiffe://cluster.local/ns/foo/sa/axb',
  'spiffe://cluster.local/ns/foo-x/sa/a',
  'spiffe://cluster.local/ns/bar/sa/foo',
  'spiffe://old.local/ns/foo/sa/a',
  'spiffe://other.example/ns/bar/sa/a',
].map(parseSpiffeId);

/** What no policy understands: the rule must fail closed. */
const NONSENSE_WEIGHT = 1;

const PRINCIPALS = [
  'cluster.local/ns/foo/sa/a',
  'cluster.local/ns/foo/sa/a.b',
  'old.local/ns/foo/sa/a',
  'cluster.local/ns/foo/*',
  '*/ns/foo/sa/a',
  '*/sa/a',
  '*local/ns/foo/sa/a',
  'spiffe://cluster.local/ns/foo/sa/a',
  '*',
];
const NAMESPACES = ['foo', 'bar', 'foo*', '*x', '*o', '*sa', 'fo.', '*'];
const SERVICE_ACCOUNTS = ['a', 'foo/a', 'foo/a.b', 'bar/foo', 'foo-x/a'];
const TRUST_DOMAINS = ['cluster.local', 'cluster*', '*local', 'old.local', '*'];
const BLOCKS = ['127.0.0.1', '127.0.0.2', '127.0.0.0/30', '10.0.0.0/8', '10.1.2.3', '::1'];
const METHODS = ['GET', 'POST', 'G*', '*T', '*'];
const HOSTS = ['b.foo', 'B.Foo', 'b.foo:8080', '*.foo', 'b.*', '*:8080', '*', 'c.foo.'];
const PORTS = ['80', '8080', '9090'];
const PATHS = [
  '/admin',
  '/admin/*',
  '*/x',
  '/a/b',
  '*',
  '/a/{*}',
  '/a/{**}',
  '/{*}/x',
  '/{**}/x',
  '/a%2fb',
];
const TEXTS = ['v1', 'v2', 'v*', '*1', '*'];
const REQUEST_PRINCIPALS = ['iss/sub', 'iss/*', '*/sub', 'iss*', '*sub', '*', 'https://i/sub'];

/** The words, for generators of other kinds. */
export const WORDS = {
  principals: PRINCIPALS,
  namespaces: NAMESPACES,
  blocks: BLOCKS,
  methods: METHODS,
  hosts: HOSTS,
  ports: PORTS,
  plainPaths: PATHS.filter((path) => !path.includes('{')),
  texts: TEXTS,
  requestPrincipals: REQUEST_PRINCIPALS,
};

const CONDITIONS: Readonly<Record<string, readonly string[]>> = {
  'source.principal': PRINCIPALS,
  'source.namespace': NAMESPACES,
  'source.serviceAccount': SERVICE_ACCOUNTS,
  'source.ip': BLOCKS,
  'remote.ip': BLOCKS,
  'destination.ip': BLOCKS,
  'destination.port': PORTS,
  'connection.sni': ['b.foo', '*.foo', '*'],
  'request.headers[X-Version]': TEXTS,
  'request.headers[:authority]': HOSTS,
  'request.headers[host]': HOSTS,
  'request.auth.principal': REQUEST_PRINCIPALS,
  'request.auth.audiences': TEXTS,
  'request.auth.presenter': TEXTS,
  'request.auth.claims[groups]': TEXTS,
  'request.auth.claims[nested][key]': TEXTS,
  'request.unknown': TEXTS,
};

/** A few of the words; now and then one that makes no sense. */
function some(words: readonly string[], nonsense?: string): fc.Arbitrary<string[]> {
  const word =
    nonsense === undefined
      ? fc.constantFrom(...words)
      : fc.oneof(
          { arbitrary: fc.constantFrom(...words), weight: 30 },
          { arbitrary: fc.constant(nonsense), weight: NONSENSE_WEIGHT },
        );
  return fc.array(word, { minLength: 1, maxLength: 3 });
}

/** An object with one to three of the fields. */
export function someFields(
  fields: Readonly<Record<string, fc.Arbitrary<string[]>>>,
): fc.Arbitrary<Readonly<Record<string, string[]>>> {
  const pairs = Object.entries(fields).map(([name, values]) =>
    values.map((list) => [name, list] as const),
  );
  return fc
    .array(fc.oneof(...pairs), { minLength: 1, maxLength: 3 })
    .map((chosen) => Object.fromEntries(chosen));
}

const source = someFields({
  principals: some(PRINCIPALS),
  notPrincipals: some(PRINCIPALS),
  namespaces: some(NAMESPACES),
  notNamespaces: some(NAMESPACES),
  serviceAccounts: some(SERVICE_ACCOUNTS, 'a/b/c'),
  notServiceAccounts: some(SERVICE_ACCOUNTS, '*'),
  trustDomains: some(TRUST_DOMAINS),
  notTrustDomains: some(TRUST_DOMAINS),
  ipBlocks: some(BLOCKS, 'nonsense'),
  notIpBlocks: some(BLOCKS, '1.2.3.4/33'),
  remoteIpBlocks: some(BLOCKS),
  notRemoteIpBlocks: some(BLOCKS),
  requestPrincipals: some(REQUEST_PRINCIPALS),
  notRequestPrincipals: some(REQUEST_PRINCIPALS),
});

const operation = someFields({
  methods: some(METHODS),
  notMethods: some(METHODS),
  paths: some(PATHS, '/a/{*}b'),
  notPaths: some(PATHS, '{**}'),
  hosts: some(HOSTS),
  notHosts: some(HOSTS),
  ports: some(PORTS, '-80'),
  notPorts: some(PORTS, '70000'),
});

/** Headers more often: they have the most ways to go wrong. */
const conditionKey = fc.oneof(
  { arbitrary: fc.constantFrom(...Object.keys(CONDITIONS)), weight: 2 },
  { arbitrary: fc.constant('request.headers[X-Version]'), weight: 1 },
);

const condition = conditionKey.chain((key) => {
  const values = some(CONDITIONS[key] ?? []);
  return fc.oneof(
    values.map((list) => ({ key, values: list })),
    values.map((list) => ({ key, notValues: list })),
    fc.tuple(values, values).map(([list, notList]) => ({ key, values: list, notValues: notList })),
  );
});

const rule: fc.Arbitrary<AuthorizationRule> = fc.record({
  from: fc.array(
    source.map((one) => ({ source: one })),
    { maxLength: 2 },
  ),
  to: fc.array(
    operation.map((one) => ({ operation: one })),
    { maxLength: 2 },
  ),
  when: fc.oneof(
    { arbitrary: fc.constant([]), weight: 2 },
    { arbitrary: fc.array(condition, { maxLength: 2 }), weight: 1 },
  ),
});

const policy = fc.record({
  action: fc.constantFrom('ALLOW', 'ALLOW', 'ALLOW', 'DENY', 'DENY', 'AUDIT', 'CUSTOM'),
  rules: fc.array(rule, { maxLength: 3 }),
});

/** Policies of one namespace, all for every workload of it. */
export const policies: fc.Arbitrary<readonly AuthorizationPolicy[]> = fc
  .array(policy, { maxLength: 3 })
  .map((specs) =>
    specs.map(({ action, rules }, index) => ({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: `policy-${index}`, namespace: 'foo' },
      spec: { action: action as 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM', rules },
    })),
  );

const segment = fc.constantFrom(
  'a',
  'b',
  'x',
  'admin',
  '..',
  '.',
  '%2e%2e',
  '..;',
  'a%2fb',
  'x%5cx',
  'a\\b',
  '',
  '%61dmin',
  '[x]',
  'a*b',
  '%00',
  'é'.normalize('NFD').slice(0, 1),
);

const target = fc
  .tuple(
    fc.array(segment, { minLength: 1, maxLength: 3 }),
    fc.constantFrom('', '', '?q', '?/admin', '#x'),
  )
  .map(([segments, rest]) => `/${segments.join('/')}${rest}`);

const claims = fc.option(
  fc.record(
    {
      iss: fc.constantFrom('iss', 'https://i', 'other'),
      sub: fc.constantFrom('sub', 'subject', ''),
      aud: fc.constantFrom<unknown>('v1', ['v1', 'v2'], ['x'], [], 7, 'rev1x'),
      azp: fc.constantFrom<unknown>('v1', 'x'),
      groups: fc.constantFrom<unknown>(['v1'], ['x', 'v2'], 'v2', true),
      nested: fc.constantFrom<unknown>({ key: 'v1' }, { key: ['v2'] }, {}, 'v1'),
    },
    { requiredKeys: [] },
  ),
  { nil: undefined },
);

const http = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT'),
  target: fc.oneof(
    fc.constantFrom(
      '/admin',
      '/a/b',
      '/',
      '/admin/x',
      '//admin',
      '/a//b',
      '/b/admin/y',
      '/a/x/y',
      '//admin/x',
      '/a/../admin',
    ),
    target,
  ),
  host: fc.constantFrom(
    'b.foo',
    'B.FOO',
    'b.foo:8080',
    'b.foo.',
    'c.foo',
    'b.bar:80',
    'x',
    'a.b.foo.c',
  ),
  headers: fc.constantFrom<Readonly<Record<string, string | readonly string[]>>>(
    {},
    { 'x-version': 'v1' },
    { 'X-VERSION': 'v2' },
    { 'x-version': ['v3', 'v1'] },
    { 'X-Version': ['v1', 'x'] },
    { 'x-version': ['x', 'v2', 'y'] },
    { 'X-VERSION': 'v1,v2' },
    { 'x-version': '' },
    { 'x-version': 'rev1x' },
    { 'X-VERSION': 'v1' },
  ),
  claims,
});

const caller = fc.oneof(
  { arbitrary: fc.constantFrom(...CALLERS), weight: 4 },
  { arbitrary: fc.constant(undefined), weight: 1 },
);

/** A request from one of CALLERS or from nobody; one in five a plain connection. */
export const request: fc.Arbitrary<AuthzRequest> = fc.record({
  source: fc.record({
    identity: caller,
    address: fc.constantFrom('127.0.0.1', '127.0.0.2', '127.0.0.9'),
    originalAddress: fc.constantFrom('10.1.2.3', '10.9.9.9', '192.0.2.1', '127.0.0.2'),
  }),
  destination: fc.record({
    address: fc.constantFrom('10.1.2.3', '127.0.0.2'),
    port: fc.constantFrom(80, 8080, 9090),
  }),
  serverName: fc.constantFrom(undefined, 'b.foo', 'c.bar'),
  http: fc.option(http, { freq: 5, nil: undefined }),
});
