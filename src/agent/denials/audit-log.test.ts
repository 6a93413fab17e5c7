import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAudit } from '#agent/denials/audit.ts';
import { AuditLog } from '#agent/denials/audit-log.ts';
import { createAgentMetrics } from '#agent/metrics.ts';
import { LIMITS } from '#base/limits.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const LINE = {
  kind: 'access',
  direction: 'inbound',
  port: 8080,
  start_time: '2026-11-22T03:00:00.000Z',
  peer: 'spiffe://cluster.local/ns/web/sa/caller',
  downstream_remote_address: '127.0.0.1:40000',
  method: 'GET',
  path: '/photos?token=abc',
  response_code: 200,
  response_code_details: 'via_upstream',
  request_id: 'r-1',
  traceparent: `00-${TRACE}-00f067aa0ba902b7-01`,
  audit_policy: 'ns[shop]-policy[watch]-rule[1]',
};

const parse = (changes: Readonly<Record<string, unknown>>) =>
  parseAudit(JSON.stringify({ ...LINE, ...changes }));

describe('a record of an AUDIT policy', () => {
  it('says who, what, which policy, and in which trace', () => {
    const record = parse({});
    assert.deepEqual(
      [record?.policy, record?.rule, record?.decision, record?.status],
      ['shop/watch', 1, 'allowed', 200],
    );
    assert.deepEqual(
      [record?.peer, record?.method, record?.path, record?.traceId, record?.requestId],
      [LINE.peer, 'GET', '/photos', TRACE, 'r-1'],
    );
  });

  it('says that the request was denied, also by a provider', () => {
    const details = 'rbac_access_denied_matched_policy[none]';
    assert.equal(parse({ response_code_details: details })?.decision, 'denied');
    const rule = 'rbac_access_denied_matched_policy[ns[shop]-policy[no]-rule[0]]';
    assert.equal(parse({ response_code_details: rule })?.decidedBy, 'shop/no');
    const allow = 'ns[shop]-policy[yes]-rule[0]';
    assert.equal(parse({ allow_policy: allow })?.decidedBy, 'shop/yes');
    assert.equal(parse({})?.decidedBy, undefined);
    assert.equal(parse({ response_flags: 'UAEX' })?.decision, 'denied');
    assert.equal(parse({ response_code: 403 })?.decision, 'allowed', "the application's own 403");
  });

  it('is not made of anything else', () => {
    assert.equal(parse({ audit_policy: undefined }), undefined);
    assert.equal(parse({ kind: 'other' }), undefined);
    assert.equal(parseAudit('"audit_policy" {'), undefined);
    assert.equal(parse({ traceparent: 'x' })?.traceId, undefined);
  });
});

it('above a rate records are counted, and their number is told', () => {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => lines.push(line) } });
  const metrics = new Metrics();
  const audit = new AuditLog({ log, clock, metrics: createAgentMetrics(metrics) });
  const most = LIMITS.auditRecordsPerSecondMax;
  for (let count = 0; count < most + 3; count += 1) audit.take(JSON.stringify(LINE));
  assert.equal(lines.length, most);
  clock.advance(1000);
  assert.match(lines.at(-1) ?? '', /"leftOut":3/);
  audit.take(JSON.stringify(LINE));
  assert.match(lines.at(-1) ?? '', /audited by policy/);
});
