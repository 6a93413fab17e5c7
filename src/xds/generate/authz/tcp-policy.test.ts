import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AuthorizationPolicySpec } from '#api/kinds/authorization-policy.ts';
import { type PortsOfPolicy, tcpPolicyAt } from '#xds/generate/authz/tcp-policy.ts';
import { authorizationOf, authorizationPolicy } from '../../../../test/kit/authorization-policy.ts';

function at(ports: PortsOfPolicy, ...specs: AuthorizationPolicySpec[]) {
  const policies = specs.map((spec, index) => authorizationPolicy(spec, { name: `p${index}` }));
  return tcpPolicyAt(authorizationOf(policies, 'strict').tcp, ports, 'strict');
}

const marker = (ports: PortsOfPolicy, ...specs: AuthorizationPolicySpec[]): string =>
  at(ports, ...specs).marker;

const deny = (...ports: string[]): AuthorizationPolicySpec => ({
  action: 'DENY',
  rules: [{ to: [{ operation: { ports } }] }],
});
const allow = (...ports: string[]): AuthorizationPolicySpec => ({
  rules: [{ to: [{ operation: { ports } }] }],
});
const OTHERS = { beside: [80, 90] };

describe('the policy of connections to a port', () => {
  it('stays when only the policy of HTTP changed', () => {
    const get = { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] };
    const put = { rules: [{ to: [{ operation: { methods: ['PUT'] } }] }] };
    assert.equal(marker(80, get), marker(80, put));
  });

  it('changes with the rules that may match there', () => {
    const markers = [[], [{}], [{ rules: [{}] }], [allow('80')], [deny('80')], [deny('80', '81')]];
    const found = markers.map((specs) => marker(80, ...specs));
    assert.equal(new Set(found).size, found.length);
  });

  it('stays when rules of other ports change', () => {
    assert.equal(marker(80, deny('90')), marker(80));
    assert.equal(marker(80, allow('80'), deny('90')), marker(80, allow('80'), deny('91')));
    const besides: AuthorizationPolicySpec = {
      action: 'DENY',
      rules: [{ to: [{ operation: { notPorts: ['80'] } }] }],
    };
    assert.equal(marker(80, besides), marker(80));
    assert.notEqual(marker(90, besides), marker(90));
  });

  it('of the ports that have no name changes with rules that may match one of them', () => {
    assert.equal(marker(OTHERS, deny('80')), marker(OTHERS));
    assert.notEqual(marker(OTHERS, deny('80', '91')), marker(OTHERS));
    assert.notEqual(marker(OTHERS, { action: 'DENY', rules: [{}] }), marker(OTHERS));
  });

  it('judges where a rule denies, or where only what is allowed passes', () => {
    assert.equal(at(80).isJudged, false);
    assert.equal(at(80, deny('90')).isJudged, false);
    assert.equal(at(80, deny('80')).isJudged, true);
    assert.equal(at(80, allow('90')).isJudged, true);
    assert.equal(at(OTHERS, deny('80')).isJudged, false);
  });

  it('does not depend on dry runs', () => {
    const annotations = { 'istio.io/dry-run': 'true' };
    const dry = authorizationPolicy({ action: 'DENY', rules: [{}] }, { annotations });
    const { tcp } = authorizationOf([dry], 'strict');
    assert.deepEqual(tcpPolicyAt(tcp, 80, 'strict'), at(80));
  });
});
