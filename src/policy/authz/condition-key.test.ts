import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConditionKey } from '#policy/authz/condition-key.ts';

describe('a key of `when`', () => {
  it('names an attribute', () => {
    assert.deepEqual(parseConditionKey('source.ip'), { on: 'sourceIp' });
    assert.deepEqual(parseConditionKey('source.trustDomain'), { on: 'trustDomain' });
    assert.deepEqual(parseConditionKey('connection.sni'), { on: 'serverName' });
    assert.deepEqual(parseConditionKey('request.auth.audiences'), { on: 'claim', path: ['aud'] });
  });

  it('names a header in brackets', () => {
    assert.deepEqual(parseConditionKey('request.headers[X-Id]'), { on: 'header', name: 'X-Id' });
    assert.deepEqual(parseConditionKey('request.headers[:method]'), {
      on: 'header',
      name: ':method',
    });
  });

  it('names a claim by its path', () => {
    assert.deepEqual(parseConditionKey('request.auth.claims[realm][https://x/roles]'), {
      on: 'claim',
      path: ['realm', 'https://x/roles'],
    });
  });

  it('names what a filter of Envoy left', () => {
    assert.deepEqual(parseConditionKey('experimental.envoy.filters.a.b[c]'), {
      on: 'metadata',
      filter: 'envoy.filters.a.b',
      key: 'c',
    });
  });

  it('is none of these', () => {
    const headers = [
      'request.headers',
      'request.headers[]',
      'request.headers[a b]',
      'request.headers[a',
      'request.headers[[a]]',
    ];
    const claims = ['request.auth.claims', 'request.auth.claims[]', 'request.auth.claims[a][]'];
    const other = ['', 'source.user', 'toString', '__proto__', 'experimental.envoy.filters.a'];
    for (const key of [...headers, ...claims, ...other])
      assert.equal(parseConditionKey(key), undefined, key);
  });
});
