import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AccessRecord, TrafficRow } from '#admin/audit.ts';
import { callsOfRecords, callsOfSample, mergedCalls, replay } from '#cli/audit/replay.ts';
import { replayText, unrecordedParts } from '#cli/audit/replay-text.ts';
import { readSince } from '#cli/audit/since.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf, serviceObjects } from '../../../test/kit/objects.ts';

const APP = 'spiffe://cluster.local/ns/shop/sa/app';
const CALLER = 'spiffe://cluster.local/ns/web/sa/caller';

const BASE = [
  ...serviceObjects('shop', 'app', [{ name: 'http', port: 80 }]),
  ...objectsOf(`
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: app-1, namespace: shop }
spec: { address: 10.0.0.1, labels: { app: app, security.istio.io/tlsMode: istio }, serviceAccount: app, ports: { http: 8080 } }
`),
];

const policy = (text: string) =>
  objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: later, namespace: shop }
spec: ${text}
`);

const row = (changes: Partial<TrafficRow> = {}): TrafficRow => ({
  hour: '2026-01-22T09:00:00.000Z',
  workload: { namespace: 'shop', name: 'app-1', identity: APP },
  protocol: 'http',
  port: 8080,
  caller: CALLER,
  method: 'GET',
  host: 'app.shop',
  pattern: '/users/*',
  path: '/users/17',
  seen: 3,
  percent: 1,
  ...changes,
});

const replayed = (rows: readonly TrafficRow[], change: ReturnType<typeof policy>) => {
  const before = testMesh(BASE).model.snapshot();
  const after = testMesh([...BASE, ...change]).model.snapshot();
  return replay(callsOfSample(rows), { before, after }, 0);
};

describe('calls that are tried again', () => {
  it('are denied by the change, or not', () => {
    const deny = policy(
      '{ action: DENY, rules: [{ to: [{ operation: { paths: ["/users*"] } }] }] }',
    );
    const { denied, allowed } = replayed([row(), row({ path: '/other' })], deny);
    assert.deepEqual(
      denied.map((one) => [one.row.path, one.calls]),
      [['/users/17', 300]],
    );
    assert.deepEqual(denied[0]?.decision.decidedBy.object?.name, 'later');
    assert.equal(allowed.length, 1);
  });

  it('are tried at a gateway, without a Service before it', () => {
    const gate = 'spiffe://cluster.local/ns/edge/sa/gate';
    const gateway = objectsOf(`
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: gate, namespace: edge }
spec: { metadata: { labels: { app: gate } }, template: { serviceAccount: gate } }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: front, namespace: edge }
spec:
  selector: { app: gate }
  servers:
    - port: { number: 8443, name: https, protocol: HTTPS }
      hosts: [a.example]
      tls: { mode: MUTUAL, credentialName: cert, subjectAltNames: [partner] }
`);
    const deny = policy(
      '{ action: DENY, rules: [{ from: [{ source: { ipBlocks: [9.9.9.9] } }] }] }',
    );
    const [change] = deny.map((one) => ({ ...one, metadata: { name: 'p', namespace: 'edge' } }));
    const workload = { namespace: 'edge', name: 'gate-7', identity: gate };
    const { caller, ...outside } = row({ workload, port: 8443, host: 'a.example', path: '/' });
    const before = testMesh(gateway).model.snapshot();
    const after = testMesh([...gateway, ...(change ? [change] : [])]).model.snapshot();
    const calls = ['9.9.9.9', '8.8.8.8'].map((callerAddress) => ({ ...outside, callerAddress }));
    const { denied, allowed } = replay(callsOfSample(calls), { before, after }, 0);
    assert.deepEqual(
      denied.map((one) => one.row.callerAddress),
      ['9.9.9.9'],
    );
    assert.equal(allowed.length, 1);
  });

  it('are looked up by identity when the workload has another name by now', () => {
    const allow = policy('{ rules: [{ from: [{ source: { namespaces: [web] } }] }] }');
    const gone = { namespace: 'shop', name: 'app-old', identity: APP };
    const elsewhere = { namespace: 'x', name: 'y', identity: 'spiffe://cluster.local/ns/x/sa/y' };
    const {
      denied,
      allowed,
      gone: lost,
    } = replayed(
      [
        row({ workload: gone }),
        row({ caller: 'spiffe://cluster.local/ns/bad/sa/b' }),
        row({ workload: elsewhere }),
        row({ port: 9 }),
      ],
      allow,
    );
    assert.deepEqual([denied.length, allowed.length, lost.length], [1, 1, 2]);
  });

  it('are told apart when the policies of now deny them as recorded', () => {
    const now = policy('{ action: DENY, rules: [{ to: [{ operation: { methods: [GET] } }] }] }');
    const snapshot = testMesh([...BASE, ...now]).model.snapshot();
    const result = replay(callsOfSample([row()]), { before: snapshot, after: snapshot }, 0);
    assert.deepEqual([result.denied.length, result.deniedNow.length], [0, 1]);
  });

  it('count once, whether they are in the sample or among the audited', () => {
    const record = { ...row(), type: 'access', id: 1, at: '', decision: 'allowed' } as const;
    const records = callsOfRecords(Array<AccessRecord>(5).fill(record));
    const merged = mergedCalls(callsOfSample([row()]), records);
    assert.deepEqual(
      merged.map(({ calls }) => calls),
      [300],
    );
    const exact = mergedCalls([], records);
    assert.deepEqual(
      exact.map(({ calls, row: { percent } }) => [calls, percent]),
      [[5, 100]],
    );
  });
});

describe('the answer', () => {
  const traffic = { percent: 1, isKept: true, rows: [row()], since: '2026-01-22T09:00:00.000Z' };

  it('says what it rests on, and what is not known', () => {
    const change = policy(
      '{ rules: [{ when: [{ key: "request.headers[x-team]", values: [a] }] }] }',
    );
    const basis = {
      sinceMs: 0,
      traffic: { ...traffic, notToldApart: 4 },
      audited: 0,
      isCut: false,
    };
    const text = replayText(replayed([row()], change), {
      ...basis,
      unrecorded: unrecordedParts(change),
    });
    assert.match(text, /^CALLER .*\nweb\/caller +shop\/app-1:8080 +GET \/users\/\* +~300 +.*later/);
    assert.match(text, /1 of 1 kinds of recorded calls would be denied/);
    assert.match(text, /a sample of 1 of 100 calls/);
    assert.match(text, /NOT known, and taken as absent: request\.headers\[x-team\]/);
    assert.match(text, /4 calls that were seen and are not told apart/);
  });
});

it('a time is a duration, days or an instant', () => {
  const now = Date.UTC(2026, 0, 22);
  assert.equal(readSince('7d', now), now - 7 * 86_400_000);
  assert.equal(readSince('90m', now), now - 5_400_000);
  assert.equal(readSince('2026-01-01T00:00:00Z', now), Date.UTC(2026, 0, 1));
  assert.throws(() => readSince('soon', now), /neither a time/);
});
