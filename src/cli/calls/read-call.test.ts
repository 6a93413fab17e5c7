import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { callOfLogLine } from '#cli/calls/access-log-line.ts';
import { type CallSpelling, readHeaders, readToken } from '#cli/calls/call-spelling.ts';
import { readCall } from '#cli/calls/read-call.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf, serviceObjects } from '../../../test/kit/objects.ts';

const OBJECTS = objectsOf(`
apiVersion: v1
kind: Service
metadata: {name: bare, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: new, namespace: shop}
spec: {selector: {app: new}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: canary, namespace: shop}
spec: {hosts: [new], http: [{route: [{destination: {host: web}}]}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out, namespace: shop}
spec: {hosts: [out.example], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: web, namespace: shop}
spec:
  metadata: {labels: {app: web}}
  template: {serviceAccount: web, ports: {http: 8080, mysql: 3306}}
`);
const MESH = testMesh([
  ...serviceObjects('shop', 'web', [
    { name: 'http', port: 80 },
    { name: 'mysql', port: 3306 },
  ]),
  ...OBJECTS,
]).model.snapshot();

function read(spelling: Partial<CallSpelling>) {
  return readCall({ from: 'shop/web', to: 'shop/web:80', ...spelling }, MESH, 'default');
}

function refuses(ask: () => unknown, message: RegExp): void {
  assert.throws(ask, (error) => {
    assert.ok(isBulwarkError(error, 'CLI_USAGE'), String(error));
    assert.match(`${error.message} ${error.remedy ?? ''}`, message);
    return true;
  });
}

describe('a call on the command line', () => {
  for (const to of ['shop/web:80', 'web.shop:80', 'web.shop.svc.cluster.local:80', 'WEB.shop:80'])
    it(`names a service as ${to}`, () => {
      const [call] = read({ to }).calls;
      assert.equal(call?.to.service.host, 'web.shop.svc.cluster.local');
      assert.equal(call?.to.workloadPort, 8080);
    });

  it('names a service of the namespace that is given', () => {
    assert.equal(readCall({ from: 'outside', to: 'web:80' }, MESH, 'shop').calls.length, 1);
  });

  it('is GET / to the host of the service when nothing else is said', () => {
    const http = { method: 'GET', target: '/', host: 'web.shop.svc.cluster.local' };
    assert.deepEqual(read({}).calls[0]?.http, http);
    assert.equal(read({ to: 'shop/web:3306' }).calls[0]?.http, undefined);
  });

  const WRONG: readonly (readonly [string, Partial<CallSpelling>, RegExp])[] = [
    ['an unknown service, with a near name', { to: 'shop/wep:80' }, /did you mean "shop\/web"/],
    ['a service of another namespace', { to: 'web:80' }, /did you mean "shop\/web"/],
    ['a port that is not there', { to: 'shop/web:81' }, /no port 81.*80, 3306/],
    ['a service of which the port is not clear', { to: 'shop/web' }, /which port.*80, 3306/],
    ['a service without workloads', { to: 'shop/bare' }, /no workload behind/],
    ['a service outside of the mesh', { to: 'out.example' }, /outside of the mesh/],
    ['a caller without namespace', { from: 'web' }, /NAMESPACE\/ACCOUNT/],
    ['a caller that is no SPIFFE id', { from: 'spiffe://' }, /./],
    ['an address that is none', { ip: '10.0.0' }, /no IP address/],
    ['a path without slash', { path: 'photos' }, /begins with \//],
    ['a method that is none', { method: 'GET /' }, /no method/],
    ['HTTP on a TCP port', { to: 'shop/web:3306', path: '/' }, /not HTTP/],
  ];
  for (const [what, spelling, message] of WRONG)
    it(`is refused for ${what}`, () => refuses(() => read(spelling), message));

  it('says what is taken for granted', () => {
    assert.match(read({}).notes.join(), /WorkloadGroup/);
    const itself = read({ to: 'shop/new', isRouted: true });
    assert.match(itself.notes.join(), /labels are those of its selector/);
    assert.match(read({ from: 'shop/wep' }).notes.join(), /did you mean shop\/web\?/);
  });
});

describe('the routes of its caller', () => {
  const at = (spelling: Partial<CallSpelling>) =>
    read(spelling).calls.map(({ to }) => to.service.name);

  it('lead a call', () => {
    assert.deepEqual(at({ to: 'shop/new' }), ['web']);
    assert.deepEqual(at({}), ['web']);
  });

  it('do not lead what its proxy sent already, nor what comes from outside', () => {
    assert.deepEqual(at({ to: 'shop/new', isRouted: true }), ['new']);
    assert.deepEqual(at({ to: 'shop/new', from: 'outside' }), ['new']);
  });
});

describe('headers and tokens', () => {
  it('are read, several of a name too', () => {
    const headers = readHeaders(['A: 1', 'b:  2 ', 'A: 3']);
    assert.deepEqual(headers, { A: ['1', '3'], b: ['2'] });
    const payload = Buffer.from('{"sub":"alice"}').toString('base64url');
    for (const text of ['{"sub":"alice"}', `e30.${payload}.c2ln`])
      assert.deepEqual(readToken(text), { claims: { sub: 'alice' } });
  });

  for (const line of ['no colon', ': value', 'na me: x'])
    it(`"${line}" is no header`, () => refuses(() => readHeaders([line]), /is no header/));

  for (const text of ['', 'a.b', 'e30.e30', '[1]', '{"a":', 'e30.!!.x', 'e30.bm8.x'])
    it(`"${text}" is no token`, () => refuses(() => readToken(text), /cannot be read/));
});

describe('a line of an access log', () => {
  const line = {
    kind: 'access',
    peer: 'spiffe://cluster.local/ns/shop/sa/web',
    method: 'GET',
    path: '/a?secret',
    authority: 'web.shop',
    requested_server_name: 'outbound_.80_._.web.shop.svc.cluster.local',
    downstream_remote_address: '10.0.0.7:51000',
    response_code_details: 'rbac_access_denied_matched_policy[ns[shop]-policy[p]-rule[0]]',
  };

  it('of this mesh says who, what and why', () => {
    assert.deepEqual(callOfLogLine(JSON.stringify(line)), {
      from: line.peer,
      to: 'web.shop.svc.cluster.local:80',
      ip: '10.0.0.7',
      method: 'GET',
      path: '/a',
      host: 'web.shop',
      said: 'the rule ns[shop]-policy[p]-rule[0] denied it',
      isRouted: true,
    });
  });

  it('without peer is about a caller outside of the mesh', () => {
    const { peer, requested_server_name, ...rest } = line;
    const read = callOfLogLine(JSON.stringify(rest));
    assert.deepEqual([read.from, read.to], ['outside', 'web.shop']);
  });

  it('about a call of its own workload does not say who that is', () => {
    const own = { kind: 'access', direction: 'outbound', method: 'GET', path: '/a' };
    const upstream_cluster = 'outbound|80||web.shop.svc.cluster.local';
    const { from, to } = callOfLogLine(JSON.stringify({ ...own, upstream_cluster }));
    assert.deepEqual([from, to], [undefined, 'web.shop.svc.cluster.local:80']);
  });

  it('of a gateway says where it listens, and where it leads', () => {
    const upstream_cluster = 'outbound|80||web.shop.svc.cluster.local';
    const { requested_server_name, peer, ...rest } = line;
    const outside = { ...rest, direction: 'inbound', port: 8443, upstream_cluster };
    const { from, to, gatewayPort } = callOfLogLine(JSON.stringify(outside));
    assert.deepEqual([from, to, gatewayPort], ['outside', 'web.shop.svc.cluster.local:80', 8443]);
    const beside = { ...outside, upstream_cluster: 'inbound|8443||' };
    assert.equal(callOfLogLine(JSON.stringify(beside)).gatewayPort, undefined);
  });

  it('of Istio, as text, says all but who called', () => {
    const text =
      '[2026-11-22T07:00:00.000Z] "GET /a?x HTTP/1.1" 403 - ' +
      'rbac_access_denied_matched_policy[none] - "-" 0 19 0 - "-" "curl/8" "1b2c" "web.shop" "-" ' +
      'inbound|8080|| - 10.0.0.2:8080 10.0.0.7:51000 ' +
      'outbound_.80_._.web.shop.svc.cluster.local default';
    const { from, to, method, path, host, said } = callOfLogLine(text);
    assert.deepEqual(
      [from, to, method, path, host, said],
      [
        undefined,
        'web.shop.svc.cluster.local:80',
        'GET',
        '/a',
        'web.shop',
        'no ALLOW rule matched',
      ],
    );
  });

  for (const text of ['hello', '{"kind":'])
    it(`is not "${text}"`, () => refuses(() => callOfLogLine(text), /access log|JSON/));
});
