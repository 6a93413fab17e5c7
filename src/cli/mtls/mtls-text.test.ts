import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MtlsPairView, MtlsPortView, MtlsView } from '#admin/mtls.ts';
import { judgedPorts, pairsOf } from '#cli/mtls/judged-ports.ts';
import { pairsText, permissiveNote, statusText } from '#cli/mtls/mtls-text.ts';

const WINDOW_MS = 3_600_000;
const SEEN = { tls: 5, plaintext: 2, open: 0, plaintextAt: undefined, callers: [] };

const port = (number: number, changes: Partial<MtlsPortView> = {}): MtlsPortView => ({
  port: number,
  services: [],
  mode: 'PERMISSIVE',
  setBy: undefined,
  seen: SEEN,
  ...changes,
});

const PAIR: MtlsPairView = {
  clients: ['web/a', 'web/b', 'web/c', 'web/d', 'bank/*'],
  host: 'web.shop',
  port: 80,
  subset: 'v1',
  servers: ['shop/web'],
  serverPort: 443,
  sends: 'plaintext',
  takes: 'STRICT',
  clientRule: { kind: 'DestinationRule', namespace: 'bank', name: 'rule' },
  serverRule: { kind: 'MeshPolicy', namespace: '', name: 'default' },
  conflict: 'it does not fit',
};

const VIEW: MtlsView = {
  at: '2026-01-01T00:00:00.000Z',
  workloads: [
    {
      namespace: 'shop',
      name: 'web',
      proxy: 'connected',
      observedSince: '2025-01-01T00:00:00.000Z',
      ports: [
        port(0, { seen: { ...SEEN, tls: 0, plaintext: 0 } }),
        port(80),
        port(443, { mode: 'STRICT', setBy: PAIR.serverRule }),
      ],
    },
    {
      namespace: 'toys',
      name: 'bear',
      proxy: 'away',
      observedSince: undefined,
      ports: [port(90, { seen: undefined })],
    },
    {
      namespace: 'toys',
      name: 'bare',
      proxy: 'none',
      observedSince: undefined,
      ports: [port(91, { mode: 'DISABLE', seen: undefined })],
    },
  ],
  pairs: [PAIR, { ...PAIR, conflict: undefined, clientRule: undefined, serverRule: undefined }],
};

const status = (namespace?: string): string =>
  statusText(judgedPorts(VIEW, { namespace, windowMs: WINDOW_MS }), pairsOf(VIEW, namespace));

describe('bulwark mtls', () => {
  it('prints a line for each port, then what fails, then how many take plaintext', () => {
    assert.equal(
      status(),
      `WORKLOAD   PORT  MODE        SET BY              MTLS  PLAINTEXT  STRICT
shop/web   80    PERMISSIVE  (default)           5     2          safe: no plaintext for 1h
shop/web   443   STRICT      MeshPolicy default  5     2          strict
toys/bear  90    PERMISSIVE  (default)           ?     ?          unknown: not connected
toys/bare  91    DISABLE     (default)           ?     ?          not safe: it has no proxy

Connections that fail:
  web/a, web/b, web/c and 2 more to web.shop:80 subset v1: it does not fit (DestinationRule bank/rule against MeshPolicy default)

3 of 4 ports take plaintext.
`,
    );
  });

  it('keeps to a namespace, of either end of a connection', () => {
    assert.doesNotMatch(status('toys'), /shop/);
    assert.match(status('bank'), /^No workload .*\n\n?Connections that fail/);
    assert.equal(pairsOf(VIEW, 'shop').length, 2);
    assert.equal(pairsOf(VIEW, 'toys').length, 0);
  });

  it('shows ports that nobody names where somebody came', () => {
    const [workload] = VIEW.workloads;
    assert.ok(workload);
    const view = { ...VIEW, workloads: [{ ...workload, ports: [port(0)] }] };
    const ports = judgedPorts(view, { namespace: undefined, windowMs: WINDOW_MS });
    assert.match(statusText(ports, []), /^shop\/web +others /m);
  });

  it('prints pairs with both objects', () => {
    const lines = pairsText(VIEW.pairs).split('\n');
    assert.match(lines[1] ?? '', /DestinationRule bank\/rule +STRICT +MeshPolicy default +it does/);
    assert.match(lines[2] ?? '', /\(default\) +STRICT +\(default\) +-$/);
    assert.match(pairsText([]), /^No client/);
  });

  it('reminds of PERMISSIVE as long as there is any', () => {
    assert.equal(
      permissiveNote(VIEW),
      '2 of 3 ports take plaintext (PERMISSIVE); see bulwark mtls status\n',
    );
    assert.equal(permissiveNote({ ...VIEW, workloads: [] }), '');
  });
});
