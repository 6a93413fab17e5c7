import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PolicyCounts } from '#agent/denials/policy-counts.ts';
import { createAgentMetrics } from '#agent/metrics.ts';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';

const HTTP = 'http.inbound_0.0.0.0_8080;.rbac.istio_';
const rule = (policy: string): string => `policy.ns[shop]-policy[${policy}]-rule[1]`;

/** Counts of an Envoy that a test sets, and the metric that comes of them. */
function setUp() {
  const metrics = new Metrics();
  let body = '';
  let run: number | undefined = 1;
  let isThere = true;
  const counts = new PolicyCounts({
    admin: {
      get: async () => {
        if (!isThere) throw new BulwarkError('NET_CONNECTION_FAILED', 'no Envoy');
        return { status: 200, body };
      },
    },
    log: silentLogger,
    metrics: createAgentMetrics(metrics),
    run: () => run,
  });
  return {
    async look(...lines: readonly string[]) {
      body = lines.join('\n');
      await counts.look();
    },
    restart: () => {
      run = (run ?? 0) + 1;
    },
    stop: () => {
      isThere = false;
    },
    /** Lines of the metric without its name. */
    async lines() {
      const all = (await metrics.text()).split('\n');
      const name = 'bulwark_agent_policy_decisions_total';
      return all.filter((line) => line.startsWith(name)).map((line) => line.slice(name.length));
    },
  };
}

describe('what rules decided', () => {
  it('is counted by policy, rule and decision', async () => {
    const { look, lines } = setUp();
    await look(
      `${HTTP}allow_.allowed: 5`,
      `${HTTP}allow_.denied: 2`,
      `${HTTP}allow_.${rule('open')}.allowed: 5`,
      `${HTTP}deny_.allowed: 7`,
      `${HTTP}deny_.denied: 1`,
      `${HTTP}deny_.${rule('closed.v2')}.denied: 1`,
      `${HTTP}audit_.${rule('see')}.allowed: 3`,
      `${HTTP}dry_run_deny_.${rule('try')}.shadow_denied: 4`,
      `${HTTP}dry_run_deny_.shadow_allowed: 4`,
      `${HTTP}dry_run_allow_.${rule('try')}.shadow_allowed: 6`,
      'http.outbound.rbac.istio_deny_.denied: 9',
    );
    assert.deepEqual((await lines()).sort(), [
      '{policy="none",rule="",decision="denied"} 2',
      '{policy="shop/closed.v2",rule="1",decision="denied"} 1',
      '{policy="shop/open",rule="1",decision="allowed"} 5',
      '{policy="shop/see",rule="1",decision="audited"} 3',
      '{policy="shop/try",rule="1",decision="would_allow"} 6',
      '{policy="shop/try",rule="1",decision="would_deny"} 4',
    ]);
  });

  it('is the sum over ports, looks and runs of Envoy', async () => {
    const { look, lines, restart } = setUp();
    const deny = `deny_.${rule('closed')}.denied`;
    await look(`${HTTP}${deny}: 1`, `http.inbound_0.0.0.0_other;plaintext.rbac.istio_${deny}: 1`);
    await look(`${HTTP}${deny}: 3`, `http.gateway_8443.rbac.istio_${deny}: 1`);
    await look(`${HTTP}${deny}: 1`);
    restart();
    await look(`${HTTP}${deny}: 2`);
    assert.deepEqual(await lines(), ['{policy="shop/closed",rule="1",decision="denied"} 8']);
  });

  it('is left as it was while Envoy does not answer', async () => {
    const { look, lines, stop } = setUp();
    await look(`${HTTP}deny_.${rule('closed')}.denied: 1`);
    stop();
    await look();
    assert.equal((await lines()).length, 1);
  });

  it('is counted together for rules beyond a number', async () => {
    const { look, lines } = setUp();
    const names = Array.from({ length: LIMITS.policySeriesMax + 2 }, (_, at) => rule(`p${at}`));
    await look(...names.map((name) => `${HTTP}deny_.${name}.denied: 1`));
    const all = await lines();
    assert.equal(all.length, LIMITS.policySeriesMax + 1);
    assert.ok(all.includes('{policy="other",rule="",decision="denied"} 2'));
  });
});
