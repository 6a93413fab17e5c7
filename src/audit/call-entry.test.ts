import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { jsonLine } from '#admin/json-line.ts';
import { callOfEntry } from '#audit/call-entry.ts';
import { EntrySchema } from '#gen/bulwark/bulwark/audit/v1/calls_pb.js';
import { TCPAccessLogEntrySchema } from '#gen/envoy-api/envoy/data/accesslog/v3/accesslog_pb.js';

const WORKLOAD = {
  namespace: 'shop',
  name: 'app-1',
  identity: 'spiffe://cluster.local/ns/shop/sa/app',
};
const PEER = 'spiffe://cluster.local/ns/web/sa/caller';
const RULE = 'ns[shop]-policy[no]-rule[2]';
const HTTP = {
  chain: '8080-mesh-http',
  method: 'GET',
  path: '/a?token=b',
  host: 'app',
  peer: PEER,
};

type Tags = Readonly<Record<string, string | Uint8Array>>;

const callOf = (tags: Tags) => {
  const bytes = Object.entries(tags).map(([tag, value]) => [tag, Buffer.from(value)]);
  const commonProperties = { customTags: Object.fromEntries(bytes) };
  return callOfEntry(create(EntrySchema, { commonProperties }), WORKLOAD, 1_000_000);
};
const denied = (details: string, more: Tags = {}) => {
  const { decision, cause, policy, rule } = callOf({ ...HTTP, details, ...more });
  return [decision, cause, policy, rule];
};

describe('a call as a proxy tells it', () => {
  it('is of the workload whose stream it came on, whatever the entry says', () => {
    const call = callOf({ ...HTTP, workload: 'other', namespace: 'other', identity: PEER });
    assert.deepEqual(call.workload, WORKLOAD);
    assert.deepEqual([call.caller, call.port, call.protocol], [PEER, 8080, 'http']);
  });

  it('is denied by a rule, by the lack of one, by a provider, for a token or for a revocation', () => {
    const of = (name: string) => `rbac_access_denied_matched_policy[${name}]`;
    assert.deepEqual(denied(of(RULE)), ['denied', 'rule', 'shop/no', 2]);
    assert.deepEqual(denied(of('none')), ['denied', 'no-allow', undefined, undefined]);
    assert.deepEqual(denied(of('bulwark-revoked[bad]')), ['denied', 'revoked', 'bad', undefined]);
    const names = denied(of('bulwark-several-names'));
    assert.deepEqual(names, ['denied', 'names', undefined, undefined]);
    const asked = `istio-ext-authz-web-${RULE}`;
    const provider = denied('ext_authz_denied', { flags: 'UAEX', asked: `- ${asked}` });
    assert.deepEqual(provider, ['denied', 'provider', 'shop/no', 2]);
    const token = denied('jwt_authn_access_denied{Jwt_is_expired}', { flags: 'UAEX' });
    assert.deepEqual(token, ['denied', 'token', undefined, undefined]);
    const tcp = callOf({ chain: '90-gate', ended: of(RULE), flags: '-' });
    assert.deepEqual(
      [tcp.protocol, tcp.decision, tcp.policy, tcp.port],
      ['tcp', 'denied', 'shop/no', 90],
    );
    const gateway = { chain: '7-edge/front/tcp', destination: '8443' };
    assert.equal(callOf({ ...gateway, ended: of(RULE), flags: '-' }).port, 8443);
  });

  it('is allowed otherwise, also when the application says 403', () => {
    const allow = 'ns[shop]-policy[yes]-rule[0]';
    const call = callOf({ ...HTTP, status: '403', details: 'via_upstream', allow, audit: RULE });
    assert.deepEqual([call.decision, call.cause, call.policy], ['allowed', undefined, 'shop/yes']);
    assert.deepEqual([call.auditedBy, call.auditRule, call.status], ['shop/no', 2, 403]);
  });

  it('has an end user only when the token names one', () => {
    const endUser = { issuer: 'https://issuer', subject: 'ann' };
    assert.deepEqual(callOf({ ...HTTP, issuer: endUser.issuer, subject: 'ann' }).endUser, endUser);
    assert.equal(callOf({ ...HTTP, issuer: endUser.issuer, subject: '-' }).endUser, undefined);
  });

  it('has no query, and no caller that is no SPIFFE id', () => {
    assert.equal(callOf(HTTP).path, '/a');
    assert.equal(callOf({ ...HTTP, peer: 'https://example.com' }).caller, undefined);
  });

  it('is told at its time, or when it came', () => {
    assert.equal(callOf({ started: '2026-11-22T09:00:00.000Z' }).at, '2026-11-22T09:00:00.000Z');
    assert.equal(callOf({ started: 'never' }).at, '1970-01-01T00:16:40.000Z');
  });
});

describe('what a caller writes to harm the records', () => {
  it('makes one line that parses, without control characters', () => {
    const evil = '/\r\n{"type":"access"}\u0000\u001b[2J\u009b\u202e"';
    const line = jsonLine(callOf({ ...HTTP, path: evil, host: evil, request_id: evil }));
    assert.doesNotMatch(line, /[\p{Cc}\p{Cf}]/u);
    assert.equal((JSON.parse(line) as { path: string }).path, evil);
  });

  it('is cut when it is giant', () => {
    const giant = 'x'.repeat(1_000_000);
    const call = callOf({ ...HTTP, path: giant, host: giant, traceparent: giant, peer: giant });
    assert.ok(jsonLine(call).length < 4096);
  });

  it('may be no UTF-8: the message is read all the same', () => {
    // What a proxy sends: its own message, with bytes in place of text.
    const commonProperties = { customTags: { path: '/ok', host: 'XX' } };
    const sent = Buffer.from(
      toBinary(TCPAccessLogEntrySchema, create(TCPAccessLogEntrySchema, { commonProperties })),
    );
    sent.set([0xff, 0xfe], sent.indexOf('XX'));
    assert.throws(() => fromBinary(TCPAccessLogEntrySchema, sent));
    const call = callOfEntry(fromBinary(EntrySchema, sent), WORKLOAD, 0);
    assert.deepEqual([call.path, call.host], ['/ok', '\ufffd\ufffd']);
  });

  it('does not reach what objects inherit', () => {
    assert.equal(callOf({ __proto__: 'x', constructor: 'y' } as Tags).path, undefined);
  });
});
