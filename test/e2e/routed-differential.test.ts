// What `bulwark can` says of calls that VirtualServices lead is what becomes of them: where they
// arrive, as what, and whether the policies there let them in, with real Envoys on both sides.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCall } from '#cli/calls/read-call.ts';
import { Decider } from '#policy/decide/decider.ts';
import { type SeenRequest, startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf, serviceObjects } from '../kit/objects.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const OBJECTS = objectsOf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews, namespace: shop }
spec:
  hosts: [reviews]
  http:
    - match:
        - { uri: { prefix: /beta/ }, headers: { x-user: { regex: '(?i)t.*r' } } }
        - { uri: { exact: /Beta }, ignoreUriCase: true, withoutHeaders: { x-stable: {} } }
      rewrite: { uri: /new/, authority: beta.test }
      headers: { request: { set: { x-route: beta }, add: { x-user: more }, remove: [x-old] } }
      route: [{ destination: { host: ratings } }]
    - match: [{ uri: { regex: '/v(?P<n>[0-9]+)/.*' } }]
      rewrite: { uriRegexRewrite: { match: '/v([0-9]+)/(.*)', rewrite: '/\\2/version/\\1' } }
      route: [{ destination: { host: ratings } }]
    - match: [{ uri: { exact: /go } }]
      redirect: { uri: /new, redirectCode: 307 }
    - match: [{ queryParams: { teapot: { exact: 'yes' } } }]
      directResponse: { status: 418 }
    - match: [{ uri: { prefix: /broken } }]
      fault: { abort: { httpStatus: 501 } }
      redirect: { uri: / }
    - match: [{ uri: { prefix: /split } }]
      route:
        - { destination: { host: ratings }, weight: 50, headers: { request: { set: { x-part: ratings } } } }
        - { destination: { host: reviews }, weight: 50 }
    - match: [{ uri: { prefix: /lost } }]
      route: [{ destination: { host: reviews, subset: unknown } }]
    - match: [{ uri: { prefix: /part } }]
      route: [{ destination: { host: reviews, subset: plain } }]
    - match: [{ uri: { prefix: /none } }]
      route: [{ destination: { host: missing } }]
    - match: [{ uri: { prefix: /pages } }]
      corsPolicy: { allowOrigins: [{ prefix: 'https://good' }] }
      route: [{ destination: { host: reviews } }]
    - match: [{ authority: { prefix: other }, method: { exact: GET } }]
      route: [{ destination: { host: ratings } }]
    - match: [{ uri: { prefix: /shop } }]
      delegate: { name: part, namespace: far }
    - match: [{ uri: { prefix: /to } }]
      route: [{ destination: { host: reviews } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: part, namespace: far }
spec:
  http:
    - match: [{ uri: { prefix: /shop/secret } }]
      route: [{ destination: { host: ratings.shop.svc.cluster.local } }]
    - rewrite: { uri: /secret }
      route: [{ destination: { host: ratings.shop.svc.cluster.local } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews, namespace: shop }
spec:
  host: reviews
  subsets: [{ name: plain, labels: { app: reviews }, trafficPolicy: { tls: { mode: DISABLE } } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ratings, namespace: shop }
spec:
  selector: { matchLabels: { app: ratings } }
  action: DENY
  rules:
    - to: [{ operation: { paths: ['/secret*', '/split/closed', '*/version/2'] } }]
    - when: [{ key: 'request.headers[x-old]', values: ['*'] }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: reviews, namespace: shop }
spec:
  selector: { matchLabels: { app: reviews } }
  rules: [{ from: [{ source: { principals: ['*'] } }] }]
`);

interface Asked {
  readonly path: string;
  readonly method?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const CORS = { origin: 'https://good.example', 'access-control-request-method': 'PUT' };
const REQUESTS: readonly Asked[] = [
  { path: '/beta/x?q=1', headers: { 'x-user': 'Tester', 'x-old': '1' } },
  { path: '/beta/x', headers: { 'x-user': 'nobody' } },
  { path: '/x/../beta/x', headers: { 'x-user': 'tester' } },
  { path: '/BETA' },
  { path: '/beta', headers: { 'x-stable': '' } },
  { path: '/v1/a/b?c=d' },
  { path: '/v2/a' },
  { path: '/v/a' },
  { path: '/go' },
  { path: '/go/' },
  { path: '/to?teapot=yes' },
  { path: '/to?teapot=no&teapot=yes' },
  { path: '/broken/x' },
  { path: '/split/open' },
  { path: '/split/closed' },
  { path: '/lost' },
  { path: '/part' },
  { path: '/none' },
  { path: '/pages', method: 'OPTIONS', headers: CORS },
  { path: '/pages', method: 'OPTIONS', headers: { ...CORS, origin: 'https://bad.example' } },
  { path: '/pages', headers: CORS },
  { path: '/anything', host: 'other.shop' },
  { path: '/anything', host: 'other.shop', method: 'POST' },
  { path: '/shop/secret/x' },
  { path: '/shop/garden' },
  { path: '/shop/secret', headers: { 'x-old': '1' } },
  { path: '/to' },
  { path: '/TO' },
];

/** A way that a request may take: its end, and for one that arrives, where and as what. */
interface End {
  readonly status: string;
  readonly app?: string;
  readonly path?: string | undefined;
  readonly host?: string | undefined;
  readonly headers?: readonly (string | undefined)[];
}

/** Headers that routes change. */
const CHANGED = ['x-user', 'x-route', 'x-old', 'x-part'] as const;

test('calls go and end as bulwark can says', { timeout: 240_000 }, async (t) => {
  const ports = [{ name: 'http', port: 80 }];
  const services = ['reviews', 'ratings'].flatMap((name) => serviceObjects('shop', name, ports));
  const objects = [...services, groupObject('shop', 'caller'), ...OBJECTS];
  const mesh = new ExplicitMesh(testMesh(objects), testAuthority());
  for (const name of ['reviews', 'ratings']) {
    const http = await startEchoApp(t, name);
    await mesh.start(t, { namespace: 'shop', name, ports: { http } });
  }
  // The listener of a service takes requests for it under any host.
  const upstreams = [{ host: 'reviews', port: 80 }];
  const caller = await mesh.start(t, { namespace: 'shop', name: 'caller', upstreams });
  const client = new KeepAliveClient({ port: caller.upstreamPort('reviews') });
  t.after(() => client.close());
  const snapshot = mesh.mesh.model.snapshot();
  const decider = new Decider(snapshot);

  const expectedOf = (asked: Asked): readonly End[] => {
    const spelling = { from: 'shop/caller', to: 'shop/reviews', ...asked };
    return readCall(spelling, snapshot, 'shop').calls.map((call): End => {
      const { decision, answer } = decider.decide(call, 0);
      if (decision === 'deny') return { status: answer.slice(0, 3) };
      const { target, host, headers = {} } = call.http ?? {};
      const changed = CHANGED.map((name) => [headers[name] ?? []].flat().join(', ') || undefined);
      // What the caller says is replaced by the listener of the service; what routes say is not.
      const isOwn = [asked.host, 'reviews.shop.svc.cluster.local'].includes(host);
      const shown = isOwn ? undefined : host;
      return {
        status: '200',
        app: call.to.service.name,
        path: target,
        host: shown,
        headers: changed,
      };
    });
  };
  const send = async ({ path, method = 'GET', host, headers = {} }: Asked): Promise<End> => {
    const given = { ...headers, ...(host && { host }) };
    const { status, body } = await client.ask({ target: path, method, headers: given });
    if (status !== 200 || !body.startsWith('{')) return { status: `${status}` };
    const seen = JSON.parse(body) as SeenRequest;
    const found = CHANGED.map((name) => seen.headers[name]?.toString());
    const kept = /^reviews|^127/.test(seen.headers.host ?? '') ? undefined : seen.headers.host;
    return { status: '200', app: seen.app, path: seen.path, host: kept, headers: found };
  };

  await waitUntil(async () => (await send({ path: '/to' })).status === '200', 'the mesh works');
  await waitUntil(
    async () => (await send({ path: '/shop/garden' })).status === '403',
    'and policy',
  );
  for (const asked of REQUESTS) {
    const expected = expectedOf(asked);
    const wanted = new Set(expected.map((end) => JSON.stringify(end)));
    const seen = new Set<string>();
    // Each way of a split is met sooner or later, and no other one ever.
    for (let sent = 0; sent < 40 && seen.size < wanted.size; sent += 1) {
      const end = JSON.stringify(await send(asked));
      assert.ok(
        wanted.has(end),
        `${JSON.stringify(asked)}: ${end}, not ${[...wanted].join(' or ')}`,
      );
      seen.add(end);
    }
    assert.deepEqual(seen, wanted, JSON.stringify(asked));
  }
});
