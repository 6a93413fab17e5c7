// What a gateway decides of calls from outside, where it leads them, and what the service behind it
// sees. test/e2e/gateway-differential compares the answers with a real one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Decider } from '#policy/decide/decider.ts';
import {
  A_HOST,
  askThrough,
  type GatewayWorld,
  onlySaid,
  policyOf,
  saidThrough,
} from '../../../test/kit/gateway-calls.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

describe('the policies of a gateway', () => {
  const from = (block: string) =>
    policyOf('edge', `{ action: DENY, rules: [{ from: [{ source: { ${block} } }] }] }`);
  const remote = { objects: from('remoteIpBlocks: [9.9.9.9]') };
  const direct = { objects: from('ipBlocks: [9.9.9.9]') };
  const told = (text: string) => ({ ...A_HOST, headers: { 'X-Forwarded-For': text } });

  it('see the address of the caller, whatever it tells', () => {
    assert.match(
      onlySaid({ ...A_HOST, ip: '9.9.9.9' }, remote)?.line ?? '',
      /^deny.*at edge\/front/,
    );
    assert.match(onlySaid({ ...told('9.9.9.9'), ip: '8.8.8.8' }, remote)?.line ?? '', /^allow/);
  });

  it('see what trusted proxies tell', () => {
    const gatewayTopology = { trustedProxies: 2, proxyProtocol: false };
    const world = { ...remote, settings: { gatewayTopology } };
    assert.match(onlySaid(told('9.9.9.9, 1.1.1.1'), world)?.line ?? '', /^deny/);
    assert.match(onlySaid(told('9.9.9.9'), world)?.line ?? '', /^allow/);
    assert.match(onlySaid(told('9.9.9.9, 1.1.1.1, 2.2.2.2'), world)?.line ?? '', /^allow/);
    const safe = (proto: string) => ({
      ...A_HOST,
      path: '/safe',
      headers: { 'x-forwarded-proto': proto },
    });
    assert.match(onlySaid(safe('https'), world)?.answer ?? '', /^204/);
    assert.match(onlySaid(safe('https'))?.answer ?? '', /^the application/);
  });

  it('see the address of a PROXY header as that of the client, not of the connection', () => {
    const settings = { gatewayTopology: { trustedProxies: 0, proxyProtocol: true } };
    const call = { ...A_HOST, ip: '9.9.9.9' };
    assert.match(onlySaid(call, { ...remote, settings })?.line ?? '', /^deny/);
    assert.match(onlySaid(call, { ...direct, settings })?.line ?? '', /^allow/);
    assert.match(onlySaid(call, direct)?.line ?? '', /^deny/);
  });

  it('come before its routes and its redirections', () => {
    const objects = policyOf(
      'edge',
      '{ action: DENY, rules: [{ to: [{ operation: { paths: [/no] } }] }] }',
    );
    const moved = { host: 'moved.example.com' };
    assert.match(onlySaid({ ...moved, path: '/no' }, { objects })?.answer ?? '', /^403/);
    assert.match(onlySaid({ ...moved, path: '/' }, { objects })?.answer ?? '', /^301/);
    assert.match(onlySaid({ host: 'none.test', path: '/no' }, { objects })?.answer ?? '', /^403/);
    assert.match(onlySaid({ host: 'none.test' }, { objects })?.answer ?? '', /^404/);
  });

  it('may ask a provider, who may deny', () => {
    const custom = policyOf('edge', '{ action: CUSTOM, provider: { name: unknown }, rules: [{}] }');
    assert.match(onlySaid(A_HOST, { objects: custom })?.line ?? '', /^deny.*custom at edge\/front/);
  });

  it('are among the rules of the mesh, without a Service before the gateway', () => {
    const objects = policyOf('edge', '{ action: DENY, rules: [{}] }');
    const { mesh } = askThrough(A_HOST, { objects });
    assert.deepEqual(
      new Decider(mesh).rules().map(({ object }) => object),
      [{ kind: 'AuthorizationPolicy', namespace: 'edge', name: 'p' }],
    );
  });
});

describe('the routes of a gateway', () => {
  it('lead shares to several services, and each decides', () => {
    const objects = policyOf('shop', '{ selector: { matchLabels: { app: other } } }');
    const ways = saidThrough({ ...A_HOST, path: '/split', to: 'shop/web' }, { objects });
    assert.deepEqual(
      ways.map(({ line, at }) => [line.split(':')[0], /\d+ %/.exec(line)?.[0], at]),
      [
        ['allow', '75 %', undefined],
        ['deny', '25 %', undefined],
      ],
    );
  });

  it('that lead elsewhere do not lead to what is meant', () => {
    const { line, answer, at } = onlySaid({ ...A_HOST, path: '/other', to: 'shop/web:80' }) ?? {};
    assert.match(
      line ?? '',
      /^deny: .*leads such requests to shop\/other:80.* not to shop\/web:80/,
    );
    assert.deepEqual([answer, at], ['what shop/other answers', 'edge/front']);
    assert.match(onlySaid({ ...A_HOST, path: '/other' })?.line ?? '', /^allow/);
  });

  it('may ask for claims of the token that the gateway verified', () => {
    const objects = objectsOf(`
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: edge }
spec: { jwtRules: [{ issuer: i, jwksUri: https://i/keys }] }
`);
    const old = { ...A_HOST, path: '/old' };
    const claims = (role: unknown) => ({ token: { claims: { iss: 'i', role } } });
    assert.match(onlySaid({ ...old, ...claims('new') }, { objects })?.line ?? '', /^allow/);
    assert.match(onlySaid({ ...old, ...claims(['x', 'new']) }, { objects })?.line ?? '', /^allow/);
    assert.match(onlySaid({ ...old, ...claims('x') }, { objects })?.answer ?? '', /^410/);
    assert.match(onlySaid(old, { objects })?.answer ?? '', /^410/);
    const other = { token: { claims: { iss: 'other' } } };
    assert.match(onlySaid({ ...old, ...other }, { objects })?.line ?? '', /^deny.*\[token at edge/);
  });

  it('of namespaces that a gateway does not let in are none', () => {
    const barred = { through: 'edge/kube', host: 'barred.example.com', to: 'shop/web' };
    assert.match(onlySaid(barred)?.answer ?? '', /^404 from the gateway/);
    assert.match(onlySaid(barred)?.line ?? '', /no route of the gateway is for the host "barred/);
    const helps = (spelling: Parameters<typeof askThrough>[0]) =>
      askThrough(spelling).ends[0]?.decision.advice ?? '';
    const route = 'HTTPRoute shop/barred has routes for it';
    const named = 'take routes of namespace shop for this host';
    assert.equal(helps(barred), `${route}: let the gateway edge/kube ${named}`);
    assert.match(helps({ host: 'nobody.test' }), /^name edge\/front in a VirtualService/);
    assert.match(helps({ through: 'edge/kube', host: 'near.example.com' }), /^add a route/);
  });
});

describe('the service behind a gateway', () => {
  const identity = 'cluster.local/ns/edge/sa/gate';
  it('sees the gateway call', () => {
    const allow = (who: string) =>
      policyOf('shop', `{ rules: [{ from: [{ source: { principals: [${who}] } }] }] }`);
    assert.match(onlySaid(A_HOST, { objects: allow(identity) })?.line ?? '', /^allow/);
    const denied = onlySaid(A_HOST, { objects: allow('cluster.local/ns/far/sa/lone') });
    assert.deepEqual([denied?.layer, denied?.at], ['allow', undefined]);
  });

  it('gets no token that the gateway verified, unless the rule says so', () => {
    const rule = (namespace: string, forwards: boolean) =>
      objectsOf(`
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: ${namespace} }
spec: { jwtRules: [{ issuer: i, jwksUri: https://i/keys, forwardOriginalToken: ${forwards} }] }
`);
    const needs = policyOf(
      'shop',
      '{ rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }] }',
    );
    const call = { ...A_HOST, token: { claims: { iss: 'i', sub: 's' } } };
    const line = (...objects: NonNullable<GatewayWorld['objects']>) =>
      onlySaid(call, { objects })?.line ?? '';
    const shop = [...rule('shop', false), ...needs];
    assert.match(line(...shop), /^allow/);
    assert.match(line(...shop, ...rule('edge', true)), /^allow/);
    assert.match(line(...shop, ...rule('edge', false)), /^deny/);
  });

  it('gets claims in headers from the gateway alone', () => {
    const rule = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: edge }
spec:
  jwtRules:
    - issuer: i
      jwksUri: https://i/keys
      outputPayloadToHeader: x-payload
      outputClaimToHeaders: [{ header: X-Who, claim: user.name }, { header: x-age, claim: age }]
`;
    const when = (name: string, value: string) =>
      `{ key: "request.headers[${name}]", values: ["${value}"] }`;
    const needs = `[${when('x-who', 'me')}, ${when('x-age', '7')}, ${when('x-payload', '*')}]`;
    const objects = [...objectsOf(rule), ...policyOf('shop', `{ rules: [{ when: ${needs} }] }`)];
    const forged = { 'x-who': 'me', 'x-age': '7', 'x-payload': 'x' };
    const line = (claims: object, headers = {}) =>
      onlySaid({ ...A_HOST, headers, token: { claims: { iss: 'i', ...claims } } }, { objects })
        ?.line ?? '';
    assert.match(line({ user: { name: 'me' }, age: 7 }), /^allow/);
    assert.match(line({ user: { name: 'you' }, age: 7 }), /^deny/);
    assert.match(line({ age: 7 }, forged), /^deny/);
    assert.match(onlySaid({ ...A_HOST, headers: forged }, { objects })?.line ?? '', /^deny/);
  });

  it('takes, with the profile istio, the address that the gateway tells', () => {
    const objects = policyOf(
      'shop',
      '{ action: DENY, rules: [{ from: [{ source: { remoteIpBlocks: [9.9.9.9] } }] }] }',
    );
    const call = { ...A_HOST, ip: '9.9.9.9' };
    const istio = { objects, settings: { hardening: 'istio' } } as const;
    assert.match(onlySaid(call, istio)?.line ?? '', /^deny/);
    assert.match(onlySaid(call, { objects })?.line ?? '', /^allow/);
  });
});
