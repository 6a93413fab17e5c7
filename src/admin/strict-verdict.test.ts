import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type {
  MtlsPairView,
  MtlsPortView,
  MtlsWorkloadView,
  SeenConnectionsView,
} from '#admin/mtls.ts';
import { strictVerdict } from '#admin/strict-verdict.ts';

const AT = '2026-01-02T00:00:00.000Z';
const HOUR_MS = 3_600_000;
const ago = (ms: number): string => new Date(Date.parse(AT) - ms).toISOString();

const SEEN: SeenConnectionsView = {
  tls: 5,
  plaintext: 0,
  open: 0,
  plaintextAt: undefined,
  callers: [],
};
const PORT: MtlsPortView = {
  port: 80,
  services: [],
  mode: 'PERMISSIVE',
  setBy: undefined,
  seen: SEEN,
};
const WORKLOAD: MtlsWorkloadView = {
  namespace: 'shop',
  name: 'web',
  proxy: 'connected',
  observedSince: ago(30 * HOUR_MS),
  ports: [],
};
const PAIR: MtlsPairView = {
  clients: ['shop/*'],
  host: 'web.shop.svc.cluster.local',
  port: 8080,
  subset: '',
  servers: ['shop/web'],
  serverPort: 80,
  sends: 'mutual',
  takes: 'PERMISSIVE',
  clientRule: { kind: 'DestinationRule', namespace: 'shop', name: 'rule' },
  serverRule: undefined,
  conflict: undefined,
};

interface Changes {
  readonly port?: Partial<MtlsPortView>;
  readonly seen?: Partial<SeenConnectionsView>;
  readonly workload?: Partial<MtlsWorkloadView>;
  readonly pair?: Partial<MtlsPairView>;
}

function judge({ port, seen, workload, pair }: Changes): string {
  const { state, reason } = strictVerdict(
    { ...PORT, seen: { ...SEEN, ...seen }, ...port },
    { ...WORKLOAD, ...workload },
    { at: AT, pairs: [{ ...PAIR, ...pair }] },
    24 * HOUR_MS,
  );
  return `${state}: ${reason}`;
}

describe('STRICT', () => {
  it('is safe when nobody came in plaintext for as long as is asked for', () => {
    assert.equal(judge({}), 'safe: no plaintext for 24h');
    assert.match(judge({ seen: { plaintext: 9, plaintextAt: ago(25 * HOUR_MS) } }), /^safe/);
  });

  it('is not safe when somebody did, or is there', () => {
    const caller = { address: '10.1.2.3', workloads: ['legacy/n'], lastAt: ago(4000) };
    const late = { plaintextAt: ago(4000) };
    assert.equal(
      judge({ seen: { ...late, callers: [caller] } }),
      'not-safe: plaintext from 10.1.2.3 (legacy/n) 4s ago',
    );
    const shared = { ...caller, workloads: ['a/b', 'c/d'] };
    assert.match(judge({ seen: { ...late, callers: [shared] } }), /\(the address of 2 workloads\)/);
    const stranger = { ...caller, workloads: [] };
    assert.match(judge({ seen: { ...late, callers: [stranger] } }), /from 10\.1\.2\.3 4s ago/);
    const many = Array(5).fill(stranger);
    assert.match(judge({ seen: { ...late, callers: many } }), / and 2 more$/);
    const unknown = 'not-safe: plaintext from a caller whose address is not known yet';
    assert.equal(judge({ seen: late }), unknown);
    assert.equal(judge({ seen: { open: 1, plaintextAt: ago(25 * HOUR_MS) } }), unknown);
  });

  it('is not safe when an object has clients send no mutual TLS', () => {
    for (const sends of ['plaintext', 'other-tls'] as const)
      assert.match(judge({ pair: { sends } }), /^not-safe: .*: DestinationRule shop\/rule$/);
    assert.match(judge({ pair: { sends: 'plaintext', clientRule: undefined } }), /auto mTLS/);
    for (const other of [{ serverPort: 81 }, { servers: ['shop/other'] }])
      assert.match(judge({ pair: { sends: 'plaintext', ...other } }), /^safe/);
  });

  it('is not judged before it was watched for that long', () => {
    const workload = { observedSince: ago(60_000) };
    assert.equal(judge({ workload }), 'too-early: no plaintext yet, watched for 1m');
    assert.match(judge({ workload, seen: { plaintextAt: ago(1000) } }), /^not-safe/);
  });

  it('is unknown where nobody looks', () => {
    const away = { proxy: 'away', observedSince: undefined } as const;
    assert.equal(judge({ port: { seen: undefined }, workload: away }), 'unknown: not connected');
    const silent = { observedSince: undefined };
    assert.equal(
      judge({ port: { seen: undefined }, workload: silent }),
      'unknown: nothing was told',
    );
    assert.match(judge({ workload: silent }), /^unknown/);
  });

  it('is already, cannot be, or is not the next step', () => {
    assert.equal(judge({ port: { mode: 'STRICT' }, seen: { open: 1 } }), 'strict: ');
    assert.match(judge({ port: { mode: 'REFUSE' } }), /^closed/);
    assert.match(judge({ port: { mode: 'DISABLE' } }), /^not-safe: .* PERMISSIVE first$/);
    assert.equal(judge({ workload: { proxy: 'none' } }), 'not-safe: it has no proxy');
  });
});
