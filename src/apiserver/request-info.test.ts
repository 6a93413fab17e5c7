import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseRequest } from '#apiserver/request-info.ts';

/** `verb group/version resource[/subresource] namespace name`, or `path verb path`. */
function described(method: string, path: string, watching = false): string {
  const info = parseRequest(method, path, watching);
  if (info.type === 'path') return `path ${info.verb} ${info.path}`;
  const { verb, group, version, resource, subresource, namespace, name } = info;
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  return [verb, `${group}/${version}`, what, namespace || '-', name || '-'].join(' ');
}

for (const [method, path, wanted] of [
  ['GET', '/api/v1/namespaces', 'list /v1 namespaces - -'],
  ['GET', '/api/v1/namespaces/a', 'get /v1 namespaces a a'],
  ['PUT', '/api/v1/namespaces/a/status', 'update /v1 namespaces/status a a'],
  ['GET', '/api/v1/namespaces/a/configmaps', 'list /v1 configmaps a -'],
  ['POST', '/api/v1/namespaces/a/configmaps', 'create /v1 configmaps a -'],
  ['DELETE', '/api/v1/namespaces/a/configmaps', 'deletecollection /v1 configmaps a -'],
  ['PATCH', '/api/v1/namespaces/a/configmaps/b', 'patch /v1 configmaps a b'],
  ['POST', '/api/v1/namespaces/a/serviceaccounts/b/token', 'create /v1 serviceaccounts/token a b'],
  [
    'GET',
    '/apis/security.istio.io/v1/peerauthentications',
    'list security.istio.io/v1 peerauthentications - -',
  ],
  ['GET', '/api/v1/watch/namespaces/a/secrets', 'watch /v1 secrets a -'],
  ['GET', '/api/v1/watch/namespaces/a/secrets/b', 'watch /v1 secrets a b'],
  ['GET', '/api/v1/namespaces/a/configmaps/b%2Fc', 'get /v1 configmaps a b/c'],
  ['GET', '/api/v1', 'path get /api/v1'],
  ['GET', '/apis/security.istio.io/v1', 'path get /apis/security.istio.io/v1'],
  ['GET', '/healthz', 'path get /healthz'],
  ['GET', '/api/v1/namespaces/%', 'path get /api/v1/namespaces/%'],
  [
    'GET',
    '/api/v1/namespaces/a/configmaps/b/c/d',
    'path get /api/v1/namespaces/a/configmaps/b/c/d',
  ],
] as const) {
  it(`${method} ${path} is "${wanted}"`, () => assert.equal(described(method, path), wanted));
}

it('watch=true turns a list into a watch, and leaves one object alone', () => {
  assert.match(described('GET', '/api/v1/configmaps', true), /^watch /);
  assert.match(described('GET', '/api/v1/namespaces/a/configmaps/b', true), /^get /);
  assert.match(described('DELETE', '/api/v1/namespaces/a/configmaps', true), /^deletecollection /);
});

it('methods that the API does not know have no verb', () => {
  const info = parseRequest('OPTIONS', '/api/v1/namespaces', false);
  assert.equal(info.type === 'resource' && info.verb, undefined);
});
