import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Diagnostic } from '#api/diagnostic.ts';
import { type AuthorizationPolicy, authorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { valueTrap } from '#api/kinds/authorization-traps.ts';
import { type ServiceRole, serviceRole } from '#api/kinds/service-role.ts';

describe('a value that no request can have', () => {
  const cases: readonly (readonly [about: string, bad: string, remedy: string | undefined])[] = [
    ['paths', 'admin', 'write "/admin"'],
    ['notPaths', 'admin/*', 'write "/admin/*"'],
    ['paths', '/a?x=1', 'write "/a"'],
    ['paths', '/a#b', 'write "/a"'],
    ['methods', 'get', 'write "GET"'],
    ['hosts', 'https://a.com', 'write "a.com"'],
    ['notHosts', 'a.com/x', 'write "a.com"'],
    ['principals', 'backend', 'write <trust domain>/ns/<namespace>/sa/<account>'],
    ['principals', 'ns/shop/sa/backend', 'write "*/ns/shop/sa/backend"'],
    [
      'source.principal',
      'cluster.local/ns/shop/sa/',
      'write <trust domain>/ns/<namespace>/sa/<account>',
    ],
    ['requestPrincipals', 'https://issuer.example', 'write "https://issuer.example/*"'],
    ['request.auth.principal', 'me', 'write "me/*"'],
    ['namespaces', 'cluster.local/ns/shop', undefined],
    ['source.namespace', 'a/b', undefined],
    ['connection.sni', 'A.example.com', 'write "a.example.com"'],
    ['methods', 'POST ', 'write "POST"'],
    ['request.headers[x]', ' a', 'write "a"'],
  ];
  for (const [about, bad, remedy] of cases) {
    it(`is told, with what may be meant: ${about} ${JSON.stringify(bad)}`, () => {
      const trap = valueTrap(about, bad) ?? assert.fail('nothing is told');
      assert.equal(trap.remedy, remedy);
    });
  }

  it('is not what one can have', () => {
    const good = {
      paths: ['/', '/admin', '*', '*.html', '/a/{*}/b', '/pkg.Service/Method'],
      methods: ['GET', 'M-SEARCH', '*', 'P*'],
      hosts: ['a.com', 'a.com:8080', '*.a.com', '[::1]:80', '*'],
      principals: ['*', 'td/ns/a/sa/b', 'spiffe://td/ns/a/sa/b', 'other.org/x', '*/sa/b', 'td/*'],
      requestPrincipals: ['*', 'iss/sub', 'https://issuer.example/me', 'https://issuer.example/*'],
      namespaces: ['shop', 'shop-*', '*'],
      'request.headers[x]': ['a b', 'get'],
    };
    for (const [about, values] of Object.entries(good))
      for (const value of values) assert.equal(valueTrap(about, value), undefined, value);
  });

  it('is told when the policy is written, wherever it stands', () => {
    const policy: AuthorizationPolicy = {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'p', namespace: 'shop' },
      spec: {
        rules: [
          {
            from: [{ source: { principals: ['backend'] } }],
            to: [{ operation: { notPaths: ['/ok', 'admin'] } }],
            when: [{ key: 'source.principal', notValues: ['frontend'] }],
          },
        ],
      },
    };
    const found: Diagnostic[] = [];
    authorizationPolicy.check?.(policy, (one) => found.push(one));
    assert.deepEqual(
      found.map(({ severity, field }) => `${severity} ${field}`),
      [
        'warning spec.rules[0].from[0].source.principals[0]',
        'warning spec.rules[0].to[0].operation.notPaths[1]',
        'warning spec.rules[0].when[0].notValues[0]',
      ],
    );
  });

  it('is told in roles of the older API, too, where methods of gRPC are no mistake', () => {
    const role: ServiceRole = {
      apiVersion: 'rbac.istio.io/v1alpha1',
      kind: 'ServiceRole',
      metadata: { name: 'viewer', namespace: 'shop' },
      spec: {
        rules: [
          { services: ['web'], methods: ['get', 'POST'], paths: ['photos', 'photo.Service/Get'] },
        ],
      },
    };
    const found: Diagnostic[] = [];
    serviceRole.check?.(role, (one) => found.push(one));
    assert.deepEqual(
      found.map(({ severity, field, remedy }) => [severity, field, remedy]),
      [
        ['warning', 'spec.rules[0].methods[0]', 'write "GET"'],
        ['warning', 'spec.rules[0].paths[0]', 'write "/photos"'],
      ],
    );
  });
});
