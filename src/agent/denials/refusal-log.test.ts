import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AllowPolicies } from '#agent/denials/allow-policies.ts';
import { parseRefusal } from '#agent/denials/refusal.ts';
import { RefusalLog } from '#agent/denials/refusal-log.ts';
import { createAgentMetrics } from '#agent/metrics.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';

/** A line of the access log of a request that no policy allows. */
const LINE = {
  kind: 'access',
  direction: 'inbound',
  port: 8080,
  start_time: '2026-11-22T03:00:00.000Z',
  peer: 'spiffe://cluster.local/ns/photo-ns/sa/photo-frontend',
  downstream_remote_address: '127.0.0.1:40000',
  method: 'GET',
  path: '/photos?token=abc',
  authority: 'datastore.datastore-ns',
  response_code: 403,
  response_code_details: 'rbac_access_denied_matched_policy[none]',
};

const DENIED_BY = 'rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[2]]';

function parse(changes: Readonly<Record<string, unknown>>) {
  return parseRefusal(JSON.stringify({ ...LINE, ...changes }));
}

describe('a line of the access log', () => {
  it('about a request that no policy allows gives who, what and where', () => {
    const refusal = parse({});
    assert.equal(refusal?.kind, 'policy');
    assert.equal(refusal?.policy, undefined);
    assert.equal(refusal?.peer, LINE.peer);
    assert.equal(refusal?.port, 8080);
    assert.equal(refusal?.path, '/photos', 'without the query string');
  });

  it('about a denied request or connection names the policy', () => {
    assert.equal(parse({ response_code_details: DENIED_BY })?.policy, 'ns[a]-policy[b]-rule[2]');
    const tcp = parse({
      response_code_details: undefined,
      method: undefined,
      connection_termination_details: DENIED_BY,
    });
    assert.equal(tcp?.policy, 'ns[a]-policy[b]-rule[2]');
  });

  it('about a handshake, plaintext or a server that failed says which', () => {
    const none = { response_code_details: undefined };
    const handshake = parse({
      ...none,
      downstream_transport_failure_reason: 'TLS_error:|unknown CA',
    });
    assert.deepEqual([handshake?.kind, handshake?.detail], ['connection', 'TLS_error:|unknown CA']);
    const request = parse({
      ...none,
      downstream_transport_failure_reason: 'TLS_error:|SSL routines:OPENSSL_internal:HTTP_REQUEST',
    });
    assert.equal(request?.detail, 'plaintext where TLS is compulsory');
    const plain = parse({ ...none, method: undefined, response_flags: 'NR' });
    assert.deepEqual(
      [plain?.kind, plain?.detail],
      ['connection', 'plaintext where TLS is compulsory'],
    );
    const server = parse({
      ...none,
      direction: 'outbound',
      upstream_transport_failure_reason: 'TLS_error:|verify SAN list',
      upstream_cluster: 'outbound|80||datastore',
    });
    assert.deepEqual([server?.kind, server?.upstream], ['server', 'outbound|80||datastore']);
  });

  it('about a request that a provider denied names both, of several the last asked', () => {
    const details = { response_code_details: 'ext_authz_denied', response_flags: 'UAEX' };
    const first = 'istio-ext-authz-opa-ns[a]-policy[b]-rule[2]';
    const refusal = parse({ ...details, custom_policy_0: first });
    assert.deepEqual(
      [refusal?.kind, refusal?.provider, refusal?.policy],
      ['policy', 'opa', 'ns[a]-policy[b]-rule[2]'],
    );
    const second = first.replace('opa', 'other-ns');
    const both = parse({ ...details, custom_policy_0: first, custom_policy_1: second });
    assert.equal(both?.provider, 'other-ns');
  });

  it('about anything else is no refusal', () => {
    assert.equal(parse({ response_code_details: 'via_upstream', response_code: 403 }), undefined);
    assert.equal(parse({ response_code_details: undefined, response_flags: 'NR' }), undefined);
    assert.equal(parseRefusal('{"kind":"access","rbac_access_denied'), undefined);
    assert.equal(parseRefusal('rbac_access_denied_matched_policy[none]'), undefined);
    assert.equal(parseRefusal(JSON.stringify({ ...LINE, kind: 'other' })), undefined);
  });

  it('may hold long texts from strangers, which are cut', () => {
    assert.equal(parse({ authority: 'x'.repeat(5000) })?.authority?.length, 257);
  });
});

function setUp(names: readonly string[] = []) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const metrics = new Metrics();
  let asked = 0;
  const log = new RefusalLog({
    log: createLogger({ level: 'debug', sink: { write: (line) => lines.push(line) } }),
    clock,
    metrics: createAgentMetrics(metrics),
    policies: {
      names: async () => {
        asked += 1;
        return names;
      },
    },
  });
  return { log, clock, lines, metrics, asked: () => asked };
}

describe('the record of a refusal', () => {
  it('names the ALLOW policies, none of which matched', async () => {
    const { log, lines } = setUp([
      'ns[d]-policy[callers]-rule[0]',
      'ns[d]-policy[callers]-rule[1]',
    ]);
    await log.take(JSON.stringify(LINE));
    const [record] = log.recent;
    assert.deepEqual(record?.policies, ['d/callers']);
    assert.equal(record?.reason, 'no ALLOW policy matches; in force: d/callers');
    assert.match(lines[0] ?? '', /"msg":"denied by policy"/);
    assert.match(lines[0] ?? '', /"policies":\["d\/callers"\]/);
  });

  it('names the provider that said no, and the policy that asked it', async () => {
    const { log } = setUp();
    await log.take(
      JSON.stringify({
        ...LINE,
        response_flags: 'UAEX',
        response_code_details: 'ext_authz_denied',
        custom_policy_0: 'istio-ext-authz-opa-ns[a]-policy[b]-rule[2]',
      }),
    );
    const { reason, policies } = log.recent[0] ?? {};
    assert.equal(reason, 'denied by the provider opa, asked by policy a/b (rule 2)');
    assert.deepEqual(policies, ['a/b']);
  });

  it('names the DENY policy, without asking Envoy', async () => {
    const { log, asked } = setUp(['ns[x]-policy[y]-rule[0]']);
    await log.take(JSON.stringify({ ...LINE, response_code_details: DENIED_BY }));
    assert.deepEqual(log.recent[0]?.policies, ['a/b']);
    assert.equal(log.recent[0]?.reason, 'denied by policy a/b (rule 2)');
    assert.equal(asked(), 0);
  });

  it('says that the peer is revoked, and by which object', async () => {
    const { log } = setUp();
    const details = 'rbac_access_denied_matched_policy[bulwark-revoked[revoked-x.y]]';
    await log.take(JSON.stringify({ ...LINE, response_code_details: details }));
    const { reason, policies } = log.recent[0] ?? {};
    assert.equal(reason, 'the peer is revoked (CertificateRevocation revoked-x.y)');
    assert.deepEqual(policies, []);
  });

  it('says that the certificate has several names', async () => {
    const { log } = setUp();
    const details = 'rbac_access_denied_matched_policy[bulwark-several-names]';
    await log.take(JSON.stringify({ ...LINE, response_code_details: details }));
    const { reason, policies } = log.recent[0] ?? {};
    assert.equal(reason, 'the certificate has several names: an identity is exactly one');
    assert.deepEqual(policies, []);
  });

  it('is counted always, logged up to a rate, and kept up to a number', async () => {
    const { log, clock, lines, metrics } = setUp();
    for (let count = 0; count < 120; count += 1) await log.take(JSON.stringify(LINE));
    assert.equal(lines.length, 50);
    assert.equal(log.recent.length, 50);
    clock.advance(1000);
    assert.match(lines[50] ?? '', /"leftOut":70/);
    await log.take(JSON.stringify({ ...LINE, path: '/last' }));
    assert.equal(log.recent.length, 50);
    assert.equal(log.recent.at(-1)?.path, '/last');
    assert.match(await metrics.text(), /bulwark_agent_refused_total\{kind="policy"\} 121/);
  });
});

describe("Envoy's dump of its policies", () => {
  const rbac = (rules: unknown, more: object = {}, layer = 'http') => ({
    '@type': 'type.googleapis.com/envoy.admin.v3.EcdsConfigDump.EcdsFilterConfig',
    ecds_filter: {
      name: 'authz',
      typed_config: {
        '@type': `type.googleapis.com/envoy.extensions.filters.${layer}.rbac.v3.RBAC`,
        rules,
        ...more,
      },
    },
  });

  /** What is found in a dump; `asked` counts the questions to Envoy. */
  function dumpOf(configs: readonly unknown[], status = 200) {
    const clock = new FakeClock();
    let asked = 0;
    const admin = {
      get: async () => {
        asked += 1;
        return { status, body: JSON.stringify({ configs }) };
      },
    };
    return { clock, policies: new AllowPolicies({ admin, clock }), asked: () => asked };
  }

  it('gives the names of ALLOW rules in force, of both layers, each once', async () => {
    const { policies } = dumpOf([
      rbac({ policies: { b: {}, a: {} } }, { shadow_rules: { policies: { dry: {} } } }),
      rbac({ action: 'DENY', policies: { denier: {} } }),
      rbac({ policies: { a: {}, tcp: {} } }, {}, 'network'),
      { other: { policies: { no: {} } } },
    ]);
    assert.deepEqual(await policies.names(), ['a', 'b', 'tcp']);
  });

  it('gives the names at the leaves of a matcher tree too', async () => {
    const action = (name: string, kind?: string) => ({
      on_match: {
        action: {
          name: 'action',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.config.rbac.v3.Action',
            name,
            ...(kind === undefined ? {} : { action: kind }),
          },
        },
      },
    });
    const actions = [action('tree'), action('not', 'DENY'), action('bulwark-not-revoked')];
    const matcher = { matcher_list: { matchers: actions } };
    const { policies } = dumpOf([rbac(undefined, { matcher })]);
    assert.deepEqual(await policies.names(), ['tree']);
  });

  it('is asked for once in a second', async () => {
    const { policies, clock, asked } = dumpOf([rbac({ policies: { a: {} } })]);
    await policies.names();
    clock.advance(999);
    await policies.names();
    assert.equal(asked(), 1);
    clock.advance(1);
    await policies.names();
    assert.equal(asked(), 2);
  });

  it('that there is not, or that is none, gives no names', async () => {
    assert.deepEqual(await dumpOf([], 404).policies.names(), []);
    const clock = new FakeClock();
    const broken = { get: async () => ({ status: 200, body: '{' }) };
    assert.deepEqual(await new AllowPolicies({ admin: broken, clock }).names(), []);
  });
});
