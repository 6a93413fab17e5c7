// Rules of VirtualService: each is met and broken.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorsOf, warningsOf } from '../../../test/kit/object-verdict.ts';

const object = (spec: object) => ({
  kind: 'VirtualService',
  metadata: { namespace: 'shop' },
  spec: { hosts: ['reviews'], ...spec },
});
const route = [{ destination: { host: 'reviews' } }];
const errors = (spec: object): string[] => errorsOf(object({ http: [{ route }], ...spec }));
const ofRoute = (fields: object): string[] => errors({ http: [{ route, ...fields }] });
const ofMatch = (match: object): string[] => ofRoute({ match: [match] });
const warnings = (spec: object): string[] => warningsOf(object({ http: [{ route }], ...spec }));

/** That there is an error at this field, and none without the wrong part. */
function refused(found: readonly string[], field: string, message: RegExp): void {
  assert.ok(
    found.some((text) => text.startsWith(`${field}: `) && message.test(text)),
    `${field} ${message} is not in ${found.join(' | ')}`,
  );
}

describe('the object', () => {
  test('has hosts, each once, and not every host for sidecars', () => {
    assert.deepEqual(errors({ hosts: ['a.example.com', '*.b.example.com', '10.0.0.1'] }), []);
    refused(errors({ hosts: ['a b'] }), 'spec.hosts[0]', /no DNS label/);
    refused(errors({ hosts: ['a', 'A'] }), 'spec.hosts[1]', /Duplicate/);
    refused(errors({ hosts: ['*.a.com', 'x.a.com'] }), 'spec.hosts[1]', /Duplicate/);
    refused(errors({ hosts: ['*.a.com', '*.com'] }), 'spec.hosts[0]', /Duplicate/);
    assert.deepEqual(errors({ hosts: ['*.a.com', 'a.com', '*.b.com'] }), []);
    refused(errors({ hosts: ['*'] }), 'spec.hosts[0]', /all sidecars/);
    assert.deepEqual(errors({ hosts: ['*'], gateways: ['front'] }), []);
  });

  test('without hosts is for others to delegate to', () => {
    assert.deepEqual(errors({ hosts: [] }), []);
    refused(errors({ hosts: [], gateways: ['mesh'] }), 'spec.gateways', /delegate/);
    refused(errors({ hosts: [], tcp: [{ route }] }), 'spec.tcp', /delegate/);
    const delegate = { delegate: { name: 'other' } };
    refused(errors({ hosts: [], http: [delegate] }), 'spec.http[0].delegate', /again/);
    assert.deepEqual(errors({ http: [delegate] }), []);
  });

  test('has routes, and names of gateways that can be', () => {
    refused(errorsOf(object({})), 'spec', /one of http, tls and tcp/);
    assert.deepEqual(errors({ gateways: ['mesh', 'ns/front'] }), []);
    refused(errors({ gateways: ['a/b/c'] }), 'spec.gateways[0]', /name of a gateway/);
    refused(errors({ exportTo: ['a b'] }), 'spec.exportTo[0]', /namespace/);
  });

  test('says which parts of it count at gateways only', () => {
    assert.deepEqual(warnings({}), []);
    const headers = { '@request.auth.claims.sub': { exact: 'a' } };
    const http = [{ route, match: [{ headers }] }];
    const gateways = ['front'];
    assert.deepEqual(errorsOf(object({ http, gateways })), []);
    const other = [{ route, match: [{ headers: { '@request.auth.sub': {} } }] }];
    refused(errors({ http: other, gateways }), 'spec.http[0].match[0].headers', /name of a claim/);
    const header = 'spec.http[0].match[0].headers[@request.auth.claims.sub]';
    refused(errors({ http }), header, /at gateways only/);
    assert.match(warnings({ tcp: [{ route }] })[0] ?? '', /TCP routes count at gateways only/);
    assert.deepEqual(warnings({ tcp: [{ route }], gateways }), []);
  });

  test('has TLS routes for its own hosts only', () => {
    const tls = (name: string) => [{ match: [{ sniHosts: [name] }], route }];
    assert.deepEqual(errors({ hosts: ['*.a.com'], tls: tls('x.a.com') }), []);
    refused(
      errors({ tls: tls('x.a.com') }),
      'spec.tls[0].match[0].sniHosts[0]',
      /within the hosts/,
    );
    refused(errors({ tls: tls('a b') }), 'spec.tls[0].match[0].sniHosts[0]', /no DNS label/);
    const condition = (match: object) =>
      errors({ tcp: [{ match: [{ port: 80, ...match }], route }] });
    assert.deepEqual(condition({ destinationSubnets: ['10.0.0.0/8'], gateways: ['mesh'] }), []);
    const at = 'spec.tcp[0].match[0]';
    refused(condition({ destinationSubnets: ['10.0'] }), `${at}.destinationSubnets[0]`, /CIDR/);
    refused(condition({ port: 70_000 }), `${at}.port`, /65535/);
    refused(condition({ gateways: ['a/b/c'] }), `${at}.gateways[0]`, /name of a gateway/);
    refused(errors({ tls: [{ match: [], route }] }), 'spec.tls[0].match', /Required/);
    const behindGateway = (name: string) =>
      errors({ hosts: [name], gateways: ['front'], tls: tls(name) });
    assert.deepEqual(behindGateway('outbound_.80_.v1_.reviews.shop.svc.cluster.local'), []);
    refused(behindGateway('outbound_.0_._.reviews.shop'), 'spec.hosts[0]', /no DNS label/);
    refused(errors({ tcp: [{}] }), 'spec.tcp[0].route', /Required/);
  });
});

describe('a route', () => {
  test('does one thing', () => {
    assert.deepEqual(ofRoute({}), []);
    refused(errors({ http: [{}] }), 'spec.http[0]', /one of route, redirect/);
    refused(ofRoute({ redirect: { uri: '/' } }), 'spec.http[0]', /exclude each other/);
    const directResponse = { status: 200 };
    assert.deepEqual(errors({ http: [{ directResponse }] }), []);
    refused(
      errors({ http: [{ directResponse: { status: 600 } }] }),
      'spec.http[0].directResponse.status',
      /200 to 599/,
    );
  });

  test('has destinations with shares', () => {
    const to = (...weights: number[]) =>
      errors({ http: [{ route: weights.map((weight) => ({ ...route[0], weight })) }] });
    assert.deepEqual(to(1, 0), []);
    refused(to(0, 0), 'spec.http[0].route', /one must have a weight/);
    refused(to(-1, 2), 'spec.http[0].route[0].weight', /less than 0/);
    const most = 2 ** 31 - 1;
    refused(to(most, most, most), 'spec.http[0].route', /add up to more/);
    const at = (destination: object) => errors({ http: [{ route: [{ destination }] }] });
    refused(at({ host: '*' }), 'spec.http[0].route[0].destination.host', /one service/);
    refused(at({ host: 'a', subset: '_' }), 'spec.http[0].route[0].destination.subset', /label/);
    refused(at({ host: 'a', port: {} }), 'spec.http[0].route[0].destination.port.number', /Req/);
  });

  test('has conditions that can be read', () => {
    assert.deepEqual(ofMatch({ uri: { regex: '/a/(?:b|c)' }, headers: { a: {} }, port: 80 }), []);
    refused(ofMatch({ uri: { regex: '(' } }), 'spec.http[0].match[0].uri.regex', /RE2/);
    refused(ofMatch({ uri: { prefix: '' } }), 'spec.http[0].match[0].uri.prefix', /Required/);
    const space = 'spec.http[0].match[0].sourceNamespace';
    assert.deepEqual(ofMatch({ sourceNamespace: 'shop' }), []);
    refused(ofMatch({ sourceNamespace: 'a b' }), space, /namespace/);
    assert.deepEqual(ofMatch({ gateways: ['mesh', 'ns/front'] }), []);
    refused(ofMatch({ gateways: ['a/b/c'] }), 'spec.http[0].match[0].gateways[0]', /of a gateway/);
    assert.deepEqual(ofMatch({ withoutHeaders: { a: { regex: '*' } } }), []);
    refused(
      ofMatch({ headers: { a: { regex: '*' } } }),
      'spec.http[0].match[0].headers[a].regex',
      /RE2/,
    );
    refused(ofMatch({ uri: { regex: '(?=a)' } }), 'spec.http[0].match[0].uri.regex', /look-around/);
    refused(ofMatch({ uri: { exact: 'a', prefix: 'b' } }), 'spec.http[0].match[0].uri', /exclude/);
    refused(ofMatch({ headers: { 'a b': {} } }), 'spec.http[0].match[0].headers', /header/);
    refused(ofMatch({ port: 70_000 }), 'spec.http[0].match[0].port', /65535/);
    refused(ofMatch({ queryParams: { '': {} } }), 'spec.http[0].match[0].queryParams', /name/);
  });

  test('changes headers that may be changed', () => {
    const request = (changes: object) => ofRoute({ headers: { request: changes } });
    assert.deepEqual(request({ set: { a: '%HOSTNAME% 100%%' }, remove: ['b'] }), []);
    assert.deepEqual(request({ set: { Host: 'a' } }), []);
    const host = { request: { set: { ':authority': 'a' } } };
    refused(request({ set: { Host: 'a', ':authority': 'a' } }), 'spec.http[0]', /more than once/);
    const rewrite = { authority: 'b' };
    refused(ofRoute({ headers: host, rewrite }), 'spec.http[0]', /more than once/);
    refused(request({ remove: ['host'] }), 'spec.http[0].headers.request', /added or removed/);
    assert.deepEqual(request({ add: { host: 'a' } }), []);
    refused(request({ add: { ':path': '/' } }), 'spec.http[0].headers.request', /cannot be set/);
    refused(request({ add: { host: 'a' }, set: { host: 'b' } }), 'spec.http[0]', /more than once/);
    refused(request({ set: { ':path': '/' } }), 'spec.http[0].headers.request', /cannot be set/);
    const response = { set: { ':status': '200' } };
    refused(ofRoute({ headers: { response } }), 'spec.http[0].headers.response', /added or/);
    refused(request({ set: { a: 'b\nc' } }), 'spec.http[0].headers.request[a]', /one line/);
    refused(request({ set: { a: '100%' } }), 'spec.http[0].headers.request[a]', /per cent/);
    refused(request({ add: { 'a b': 'c' } }), 'spec.http[0].headers.request', /header/);
  });

  test('rewrites, redirects and retries in ways that fit together', () => {
    assert.deepEqual(ofRoute({ rewrite: { uri: '/a' }, retries: { attempts: 2 } }), []);
    refused(ofRoute({ rewrite: {} }), 'spec.http[0].rewrite', /one of/);
    refused(ofRoute({ rewrite: { uri: '/a\r\nb' } }), 'spec.http[0].rewrite.uri', /one line/);
    const uriRegexRewrite = { match: '(', rewrite: 'a' };
    refused(
      ofRoute({ rewrite: { uriRegexRewrite } }),
      'spec.http[0].rewrite.uriRegexRewrite.match',
      /RE2/,
    );
    const retries = { attempts: 0, retryOn: '5xx' };
    refused(ofRoute({ retries }), 'spec.http[0].retries', /attempts are 0/);
    const elsewhere = { attempts: 0, retryRemoteLocalities: false };
    refused(ofRoute({ retries: elsewhere }), 'spec.http[0].retries', /attempts are 0/);
    const words = (retryOn: string) => ofRoute({ retries: { attempts: 1, retryOn } });
    assert.deepEqual(words('5xx, 409,unavailable'), []);
    refused(words('5xx,sometimes'), 'spec.http[0].retries.retryOn', /"sometimes"/);
    refused(ofRoute({ timeout: 'soon' }), 'spec.http[0].timeout', /duration/);
    const redirect = (fields: object, more = {}) =>
      errors({ http: [{ redirect: fields, ...more }] });
    assert.deepEqual(redirect({ uri: '/a', redirectCode: 302 }), []);
    refused(
      redirect({ uri: '/a', redirectCode: 200 }),
      'spec.http[0].redirect.redirectCode',
      /301/,
    );
    refused(redirect({}), 'spec.http[0].redirect', /one of uri/);
    assert.deepEqual(redirect({ scheme: 'https' }), []);
    refused(redirect({ scheme: 'ftp' }), 'spec.http[0].redirect.scheme', /"https"/);
    const answer = { directResponse: { status: 200 }, rewrite: { uri: '/' } };
    refused(errors({ http: [answer] }), 'spec.http[0]', /directResponse and rewrite/);
    const match = [{ uri: { regex: 'a' } }];
    refused(redirect({ prefixRewrite: '/a' }, { match }), 'spec.http[0].redirect', /by prefix/);
  });

  test('has faults, copies and origins with shares and times that can be', () => {
    const delay = { fixedDelay: '1s', percentage: { value: 0.1 } };
    assert.deepEqual(ofRoute({ fault: { delay } }), []);
    refused(ofRoute({ fault: {} }), 'spec.http[0].fault', /one of delay/);
    const tooMuch = { ...delay, percentage: { value: 101 } };
    const share = 'spec.http[0].fault.delay.percentage.value';
    refused(ofRoute({ fault: { delay: tooMuch } }), share, /between 0 and 100/);
    const nothing = { http: [{ route, fault: { abort: {} } }] };
    assert.deepEqual(errors(nothing), []);
    assert.match(warnings(nothing).join(), /nothing is aborted/);
    const abort = 'spec.http[0].fault.abort';
    assert.deepEqual(ofRoute({ fault: { abort: { grpcStatus: 'NOT_FOUND' } } }), []);
    refused(ofRoute({ fault: { abort: { grpcStatus: 'x' } } }), `${abort}.grpcStatus`, /NOT_FOUND/);
    refused(ofRoute({ fault: { abort: { http2Error: 'x' } } }), `${abort}.http2Error`, /built/);
    const exponential = { ...delay, exponentialDelay: '1s' };
    const never = 'spec.http[0].fault.delay.exponentialDelay';
    refused(ofRoute({ fault: { delay: exponential } }), never, /never built/);
    const mirrors = [{ destination: { host: 'a' }, percentage: { value: -1 } }];
    refused(ofRoute({ mirrors }), 'spec.http[0].mirrors[0].percentage.value', /between/);
    const allowOrigins = [{ regex: '(' }];
    const origin = 'spec.http[0].corsPolicy.allowOrigins[0].regex';
    refused(ofRoute({ corsPolicy: { allowOrigins } }), origin, /RE2/);
    const cors = (corsPolicy: object) => ofRoute({ corsPolicy });
    assert.deepEqual(cors({ allowOrigins: [{ exact: '*' }], maxAge: '2s' }), []);
    const at = 'spec.http[0].corsPolicy';
    refused(cors({ allowOrigins: [{ prefix: '' }] }), `${at}.allowOrigins[0]`, /one of exact/);
    refused(cors({ maxAge: '2.5s' }), `${at}.maxAge`, /whole seconds/);
    refused(cors({ allowHeaders: [''] }), `${at}.allowHeaders[0]`, /Required/);
    refused(
      ofRoute({ corsPolicy: { allowMethods: ['PUTT'] } }),
      'spec.http[0].corsPolicy.allowMethods[0]',
      /method/,
    );
  });
});
