import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type {
  AuthorizationPolicySpec,
  AuthorizationRule,
} from '#api/kinds/authorization-policy.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import { compileAuthorizationPolicy } from '#policy/authz/compile.ts';
import type { CompiledPolicy } from '#policy/authz/compiled-policy.ts';
import { authorizationPolicy, authzContext } from '../../../test/kit/authorization-policy.ts';

function compile(
  spec: AuthorizationPolicySpec | undefined,
  hardening: HardeningProfile = 'istio',
): CompiledPolicy {
  return compileAuthorizationPolicy(authorizationPolicy(spec), authzContext(hardening));
}

/**
 * The attributes of the only source and the only operation of the only rule, and its diagnostics.
 */
function shape(spec: AuthorizationPolicySpec, hardening?: HardeningProfile) {
  const { http, diagnostics } = compile(spec, hardening);
  const [rule] = http;
  return {
    rules: http.length,
    source: rule?.sources[0]?.map(({ on }) => on),
    operation: rule?.operations[0]?.map(({ on }) => on),
    fields: diagnostics.filter(({ severity }) => severity === 'error').map(({ field }) => field),
  };
}

const allow = (...rules: AuthorizationRule[]): AuthorizationPolicySpec => ({ rules });
const deny = (...rules: AuthorizationRule[]): AuthorizationPolicySpec => ({
  action: 'DENY',
  rules,
});

describe('a compiled policy', () => {
  it('is ALLOW when it does not say, and without rules matches nothing', () => {
    for (const spec of [undefined, {}, { rules: [] }]) {
      const { action, http, tcp, diagnostics } = compile(spec);
      assert.equal(action, 'ALLOW');
      assert.deepEqual(
        http.map(({ name, sources, operations }) => ({ name, sources, operations })),
        [{ name: 'ns[foo]-policy[p]-rule[0]', sources: [], operations: [] }],
      );
      assert.deepEqual(tcp, http);
      assert.deepEqual(diagnostics, []);
    }
  });

  it('matches everything with an empty rule, also where `from` and `to` are empty lists', () => {
    for (const rule of [{}, { from: [], to: [], when: [] }]) {
      const { http } = compile(allow(rule));
      assert.deepEqual([http[0]?.sources, http[0]?.operations], [[[]], [[]]]);
    }
  });

  it('has a clause for each `from` and `to`, each with its half of `when`', () => {
    const { http } = compile(
      allow({
        from: [{ source: { namespaces: ['a'] } }, { source: { principals: ['b'] } }],
        to: [{ operation: { methods: ['GET'], ports: ['80'] } }],
        when: [
          { key: 'source.ip', values: ['1.2.3.4'] },
          { key: 'connection.sni', notValues: ['x'] },
        ],
      }),
    );
    const [rule] = http;
    assert.deepEqual(
      rule?.sources.map((clause) => clause.map(({ on }) => on)),
      [
        ['namespace', 'sourceIp'],
        ['principal', 'sourceIp'],
      ],
    );
    assert.deepEqual(
      rule?.operations.map((clause) => clause.map(({ on }) => on)),
      [['method', 'port', 'serverName']],
    );
    assert.equal(rule?.sources[0]?.[0]?.field, 'spec.rules[0].from[0].source.namespaces');
    assert.equal(rule?.operations[0]?.[2]?.notField, 'spec.rules[0].when[1].notValues');
  });

  it('expands principals over the former names of the trust domain', () => {
    const { http } = compile(
      allow({ from: [{ source: { principals: ['old.local/ns/foo/sa/a'] } }] }),
    );
    assert.deepEqual(http[0]?.sources[0]?.[0]?.values, [
      { match: 'exact', value: 'cluster.local/ns/foo/sa/a' },
      { match: 'exact', value: 'old.local/ns/foo/sa/a' },
    ]);
  });

  it('takes a service account without namespace from its own', () => {
    const { http } = compile(allow({ from: [{ source: { serviceAccounts: ['a', 'bar/b'] } }] }));
    assert.deepEqual(http[0]?.sources[0]?.[0]?.values, [
      { namespace: 'foo', name: 'a' },
      { namespace: 'bar', name: 'b' },
    ]);
  });

  it('is a rehearsal when annotated', () => {
    const dryRun = (value: string) =>
      compileAuthorizationPolicy(
        authorizationPolicy({}, { annotations: { 'istio.io/dry-run': value } }),
        authzContext('istio'),
      ).dryRun;
    assert.equal(dryRun('true'), true);
    assert.equal(dryRun('false'), false);
    assert.equal(dryRun('yes'), false);
  });

  it('may be attached to gateways, and says what of that nothing enforces', () => {
    const group = 'gateway.networking.k8s.io';
    const attached = (kind: string, of: string) => {
      const { target, diagnostics } = compile({ targetRefs: [{ kind, name: 'g', group: of }] });
      assert.equal(target.kind, 'references');
      return diagnostics.map(({ severity, field, message }) =>
        [severity, field, message].join(' '),
      );
    };
    assert.deepEqual(attached('Gateway', group), []);
    assert.match(attached('Service', '').join(), /^error spec.targetRefs Service g .*waypoints/);
    assert.match(attached('GatewayClass', group).join(), /root namespace only/);
  });
});

describe('what a policy cannot mean', () => {
  const wrong: readonly (readonly [string, AuthorizationRule, string])[] = [
    ['address', { from: [{ source: { ipBlocks: ['nonsense'] } }] }, 'from[0].source.ipBlocks[0]'],
    ['port', { to: [{ operation: { ports: ['70000'] } }] }, 'to[0].operation.ports[0]'],
    ['port text', { to: [{ operation: { ports: ['http'] } }] }, 'to[0].operation.ports[0]'],
    ['template', { to: [{ operation: { paths: ['/{*}x'] } }] }, 'to[0].operation.paths[0]'],
    [
      'account',
      { from: [{ source: { serviceAccounts: ['*'] } }] },
      'from[0].source.serviceAccounts[0]',
    ],
    ['empty value', { to: [{ operation: { hosts: [''] } }] }, 'to[0].operation.hosts[0]'],
    [
      'long value',
      { to: [{ operation: { hosts: ['x'.repeat(2049)] } }] },
      'to[0].operation.hosts[0]',
    ],
    ['key', { when: [{ key: 'source.user', values: ['x'] }] }, 'when[0].key'],
    ['nothing to test', { when: [{ key: 'source.ip' }] }, 'when[0]'],
    ['empty source', { from: [{ source: {} }] }, 'from[0].source'],
    ['no source', { from: [{}] }, 'from[0].source'],
    ['empty operation', { to: [{ operation: {} }] }, 'to[0].operation'],
    [
      'negated address',
      { from: [{ source: { notIpBlocks: ['1.2.3.4/33'] } }] },
      'from[0].source.notIpBlocks[0]',
    ],
    [
      'list of metadata',
      { when: [{ key: 'experimental.envoy.filters.a[b]', values: ['[]'] }] },
      'when[0].values[0]',
    ],
  ];
  for (const [what, rule, field] of wrong) {
    it(`lets nobody in by an ALLOW rule and hits everybody with a DENY rule: ${what}`, () => {
      assert.deepEqual(shape(allow(rule)), {
        rules: 0,
        source: undefined,
        operation: undefined,
        fields: [`spec.rules[0].${field}`],
      });
      assert.deepEqual(shape(deny(rule)), {
        rules: 1,
        source: [],
        operation: [],
        fields: [`spec.rules[0].${field}`],
      });
    });
  }

  it('leaves the other values of an ALLOW rule, and none of a DENY rule', () => {
    const rule = { from: [{ source: { ipBlocks: ['nonsense', '1.2.3.4'] } }] };
    assert.deepEqual(compile(allow(rule)).http[0]?.sources[0]?.[0]?.values, [
      { family: 'ipv4', address: '1.2.3.4', prefixLength: 32 },
    ]);
    assert.deepEqual(compile(deny(rule)).http[0]?.sources, [[]]);
  });

  it('leaves the other alternatives of an ALLOW rule', () => {
    const bad = { source: { ipBlocks: ['nonsense'] } };
    const good = { source: { namespaces: ['a'] } };
    const { http } = compile(allow({ from: [bad, good] }));
    assert.deepEqual(
      http[0]?.sources.map((clause) => clause.map(({ on }) => on)),
      [['namespace']],
    );
  });

  it('is told where somebody may take it for something else', () => {
    const { diagnostics, http } = compile(
      deny({ to: [{ operation: { paths: ['*admin*', '/a/{*}'] } }] }),
    );
    assert.deepEqual(
      diagnostics.map(({ severity, field }) => [severity, field]),
      [['warning', 'spec.rules[0].to[0].operation.paths[0]']],
    );
    assert.equal(http[0]?.operations[0]?.[0]?.values.length, 2);
  });

  it('of action CUSTOM names who is asked, and of no other action', () => {
    const provider = { name: 'opa' };
    assert.equal(compile({ action: 'CUSTOM', provider, rules: [{}] }).provider, 'opa');
    assert.equal(compile({ action: 'DENY', rules: [{}] }).provider, undefined);
  });
});

describe('on a plain connection', () => {
  const http: AuthorizationRule = {
    from: [{ source: { namespaces: ['a'], requestPrincipals: ['b'] } }],
    to: [{ operation: { methods: ['GET'], ports: ['80'] } }],
  };
  const plain: AuthorizationRule = { from: [{ source: { namespaces: ['a'] } }] };

  it('an ALLOW rule that needs HTTP allows nothing, and the others stay', () => {
    const { tcp, tcpDiagnostics } = compile(allow(http, plain));
    assert.deepEqual(
      tcp.map(({ index }) => index),
      [1],
    );
    assert.deepEqual(
      tcpDiagnostics.map(({ field }) => field),
      ['spec.rules[0]'],
    );
    assert.match(tcpDiagnostics[0]?.message ?? '', /requestPrincipals, .*methods cannot be known/);
  });

  it('a rule of another action matches without what needs HTTP', () => {
    for (const action of ['DENY', 'CUSTOM', 'AUDIT'] as const) {
      const { tcp, tcpDiagnostics } = compile({ action, rules: [http, plain] });
      assert.deepEqual(
        tcp.map(({ sources, operations }) => [
          sources[0]?.map(({ on }) => on),
          operations[0]?.map(({ on }) => on),
        ]),
        [
          [['namespace'], ['port']],
          [['namespace'], []],
        ],
      );
      assert.equal(tcpDiagnostics.length, 1);
    }
  });
});

describe('the strict profile', () => {
  it('asks for a peer where an ALLOW rule only says who it is not', () => {
    const rule = { from: [{ source: { notNamespaces: ['a'] } }] };
    assert.deepEqual(shape(allow(rule), 'strict').source, ['namespace', 'principal']);
    assert.deepEqual(shape(allow(rule), 'istio').source, ['namespace']);
    assert.deepEqual(shape(deny(rule), 'strict').source, ['namespace']);
    const positive = { from: [{ source: { notNamespaces: ['a'], principals: ['b'] } }] };
    assert.deepEqual(shape(allow(positive), 'strict').source, ['principal', 'namespace']);
    const byAddress = { from: [{ source: { notIpBlocks: ['1.2.3.4'] } }] };
    assert.deepEqual(shape(allow(byAddress), 'strict').source, ['sourceIp']);
  });

  it('takes a principal with its scheme; the profile istio has nobody of that name', () => {
    const rule = { from: [{ source: { principals: ['spiffe://td/ns/a/sa/b'] } }] };
    const values = (profile: HardeningProfile) =>
      compile(deny(rule), profile).http[0]?.sources[0]?.[0]?.values;
    assert.deepEqual(values('strict'), [{ match: 'exact', value: 'td/ns/a/sa/b' }]);
    assert.deepEqual(values('istio'), [{ match: 'exact', value: 'spiffe://td/ns/a/sa/b' }]);
  });
});

describe('the identity of a token', () => {
  const cases = [
    ['*', { match: 'present' }, { match: 'present' }],
    ['iss/sub', { match: 'exact', value: 'iss' }, { match: 'exact', value: 'sub' }],
    ['https://i/sub', { match: 'exact', value: 'https://i' }, { match: 'exact', value: 'sub' }],
    ['https://i/*', { match: 'exact', value: 'https://i' }, { match: 'present' }],
    ['iss/s*', { match: 'exact', value: 'iss' }, { match: 'prefix', value: 's' }],
    ['*/sub', { match: 'present' }, { match: 'exact', value: 'sub' }],
    ['*iss/sub', { match: 'suffix', value: 'iss' }, { match: 'exact', value: 'sub' }],
    ['iss*', { match: 'prefix', value: 'iss' }, { match: 'present' }],
    ['*sub', { match: 'present' }, { match: 'suffix', value: 'sub' }],
    ['iss', { match: 'exact', value: 'iss' }, { match: 'exact', value: '' }],
  ] as const;
  for (const [value, issuer, subject] of cases) {
    it(`${value} is split into issuer and subject`, () => {
      const { http } = compile(allow({ from: [{ source: { requestPrincipals: [value] } }] }));
      assert.deepEqual(http[0]?.sources[0]?.[0]?.values, [{ issuer, subject }]);
    });
  }
});
