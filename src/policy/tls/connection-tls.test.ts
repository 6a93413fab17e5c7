import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InboundMode } from '#policy/authn/mtls-mode.ts';
import { connectionTls } from '#policy/tls/connection-tls.ts';
import type { UpstreamTls } from '#policy/tls/upstream-tls.ts';

const CLIENTS: Readonly<Record<string, UpstreamTls>> = {
  auto: { mode: 'auto' },
  plain: { mode: 'plain' },
  mesh: { mode: 'mesh', sni: undefined, subjectAltNames: [] },
  simple: {
    mode: 'originate',
    tls: {
      sni: 'x.test',
      subjectAltNames: ['x.test'],
      credential: undefined,
      caCertificates: undefined,
      caCrl: undefined,
      verifiesServer: true,
      clientCertificate: undefined,
    },
  },
  refuse: { mode: 'refuse', reason: 'it cannot be' },
};

/** What is sent, and the conflict if there is one; `none` is an endpoint without a proxy. */
const TABLE = `
auto    DISABLE     plaintext
auto    PERMISSIVE  mutual
auto    STRICT      mutual
auto    REFUSE      mutual      refused-by-server
auto    none        plaintext
plain   DISABLE     plaintext
plain   PERMISSIVE  plaintext
plain   STRICT      plaintext   plaintext-to-mutual
plain   none        plaintext
mesh    DISABLE     mutual      mutual-to-plaintext
mesh    PERMISSIVE  mutual
mesh    STRICT      mutual
mesh    REFUSE      mutual      refused-by-server
mesh    none        mutual      mutual-to-plaintext
simple  DISABLE     other-tls
simple  PERMISSIVE  other-tls
simple  STRICT      other-tls   other-tls-to-mutual
simple  none        other-tls
refuse  PERMISSIVE  nothing     refused-by-client
`;

test('what both sides do decides what is sent, and whether it arrives', () => {
  for (const row of TABLE.trim().split('\n')) {
    const [client = '', server = '', sends, conflict] = row.split(/ +/);
    const tls = CLIENTS[client];
    assert.ok(tls);
    const hasProxy = server !== 'none';
    const mode = hasProxy ? (server as InboundMode) : 'STRICT';
    const made = connectionTls({
      client: { tls, rule: undefined },
      server: { hasProxy, mode, rule: undefined },
    });
    assert.deepEqual([made.sends, made.conflict], [sends, conflict], row);
  }
});
