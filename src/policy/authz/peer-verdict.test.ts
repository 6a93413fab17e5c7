import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AuthorizationPolicySpec } from '#api/kinds/authorization-policy.ts';
import { peerVerdict } from '#policy/authz/peer-verdict.ts';
import { authorizationOf, authorizationPolicy } from '../../../test/kit/authorization-policy.ts';

const PORT = 3306;

/** `deny p0[0] 1`: what becomes of callers, by which rule, and how many tests they must pass. */
function verdict(...specs: readonly AuthorizationPolicySpec[]): string {
  const policies = specs.map((spec, at) => authorizationPolicy(spec, { name: `p${at}` }));
  const { steps, othersPass } = peerVerdict(authorizationOf(policies, 'strict').tcp, PORT);
  const said = steps.map(({ deniedBy, test }) => {
    const conditions = test.map((clause) => clause.map(({ on }) => on).join('+') || 'all');
    return `${deniedBy ? `deny ${deniedBy.policy}` : 'allow'} ${conditions.join('|')}`;
  });
  return [...said, othersPass ? 'others pass' : 'others stay out'].join(', ');
}

const from = (source: object) => ({ from: [{ source }] });
const to = (operation: object) => ({ to: [{ operation }] });

describe('who a caller is decides', () => {
  it('nothing without a policy', () => {
    assert.equal(verdict(), 'others pass');
  });

  it('whether an ALLOW rule lets it in', () => {
    assert.equal(
      verdict({ rules: [from({ principals: ['a'] }), from({ namespaces: ['b'] })] }),
      'allow principal, allow namespace, others stay out',
    );
    assert.equal(
      verdict({ rules: [{ from: [{ source: { principals: ['a'] } }, { source: {} }] }] }),
      'allow principal, others stay out',
    );
    assert.equal(verdict({ rules: [{}] }), 'allow all, others stay out');
    assert.equal(verdict({}), 'others stay out');
  });

  it('whether a DENY rule keeps it out, before any ALLOW rule', () => {
    const deny = { action: 'DENY', rules: [from({ principals: ['a'] })] } as const;
    assert.equal(verdict(deny), 'deny p0 principal, others pass');
    assert.equal(verdict({ rules: [{}] }, deny), 'deny p1 principal, allow all, others stay out');
  });

  it('only by rules for its port', () => {
    const rules = (port: string) => [{ ...from({ principals: ['a'] }), ...to({ ports: [port] }) }];
    assert.equal(verdict({ rules: rules('3306') }), 'allow principal, others stay out');
    assert.equal(verdict({ rules: rules('80') }), 'others stay out');
    assert.equal(verdict({ action: 'DENY', rules: rules('80') }), 'others pass');
    const but = [{ ...from({ principals: ['a'] }), ...to({ notPorts: ['3306'] }) }];
    assert.equal(verdict({ action: 'DENY', rules: but }), 'others pass');
  });

  it('nothing where its address decides too: that comes at the first byte', () => {
    const both = from({ principals: ['a'], ipBlocks: ['10.0.0.1'] });
    assert.equal(verdict({ rules: [both] }), 'allow principal, others stay out');
    assert.equal(verdict({ action: 'DENY', rules: [both] }), 'others pass');
    const address = from({ ipBlocks: ['10.0.0.1'] });
    assert.equal(verdict({ rules: [address] }), 'allow all, others stay out');
    const sni = { when: [{ key: 'connection.sni', values: ['x'] }] };
    assert.equal(verdict({ action: 'DENY', rules: [sni] }), 'others pass');
    assert.equal(verdict({ rules: [sni] }), 'allow all, others stay out');
  });
});
