// STRICT and PERMISSIVE take turns under load: callers of the mesh lose no request, and plaintext
// gets through only, and always, while it may.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEchoApp } from '../kit/echo-app.ts';
import { ExplicitMesh } from '../kit/explicit-workload.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { testMesh } from '../kit/mesh.ts';
import { groupObject, objectsOf, serviceObjects } from '../kit/objects.ts';
import { PacedLoad } from '../kit/paced-load.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { testAuthority } from '../kit/test-authority.ts';
import { waitUntil } from '../kit/wait-until.ts';

const REQUESTS_PER_SECOND = 500;
/** How long each mode is watched at least. */
const WATCHED_MS = 1000;
/** How many calls in plaintext are tried meanwhile. */
const TRIED_MIN = 20;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const peerAuthentication = (mode: string) =>
  objectsOf(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: ${mode} } }
`);

const policy = (mode: string) =>
  objectsOf(`
apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: default, namespace: shop }
spec: { peers: [{ mtls: { mode: ${mode} } }] }
`);

/** What is said in turn, each in place of the one before. */
const TURNS = [
  { mode: 'STRICT', objects: peerAuthentication('STRICT') },
  { mode: 'PERMISSIVE', objects: peerAuthentication('PERMISSIVE') },
  { mode: 'STRICT', objects: policy('STRICT') },
  { mode: 'PERMISSIVE', objects: policy('PERMISSIVE') },
];

/** Calls without TLS, on an open connection and on new ones, and what came of them. */
class PlainCaller {
  /** Answers 200 and everything else, since the last `reset`. */
  allowed = 0;
  refused = 0;
  readonly #port: number;
  readonly #running: Promise<void>[];
  #isStopped = false;

  constructor(port: number) {
    this.#port = port;
    this.#running = [this.#onOpenConnection(), this.#onNewConnections()];
  }

  reset(): void {
    this.allowed = 0;
    this.refused = 0;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  async #onOpenConnection(): Promise<void> {
    const client = new KeepAliveClient({ port: this.#port });
    while (!this.#isStopped) {
      const answer = await client.ask({ target: '/' }).catch(() => ({ status: 0 }));
      this.#count(answer.status);
      await sleep(10);
    }
    client.close();
  }

  async #onNewConnections(): Promise<void> {
    while (!this.#isStopped) {
      this.#count(statusOf(await callPeer({ port: this.#port, data: httpRequest('/') })));
      await sleep(20);
    }
  }

  #count(status: number): void {
    if (status === 200) this.allowed += 1;
    else this.refused += 1;
  }
}

test('STRICT and PERMISSIVE take turns under load', { timeout: 240_000 }, async (t) => {
  const objects = [
    ...serviceObjects('shop', 'backend', [{ name: 'http', port: 80 }]),
    groupObject('web', 'caller'),
  ];
  const mesh = new ExplicitMesh(testMesh(objects), testAuthority());
  const http = await startEchoApp(t, 'backend');
  const backend = await mesh.start(t, { namespace: 'shop', name: 'backend', ports: { http } });
  const caller = await mesh.start(t, { namespace: 'web', name: 'caller' });
  const load = new PacedLoad({
    port: caller.httpProxyPort,
    ask: () => ({ target: 'http://backend.shop/' }),
    requestsPerSecond: REQUESTS_PER_SECOND,
    connections: 16,
  });
  t.after(() => load.stop());
  const plain = new PlainCaller(backend.listenPort('http'));
  t.after(() => plain.stop());

  let before: (typeof TURNS)[number]['objects'] = [];
  for (const { mode, objects: said } of TURNS) {
    mesh.mesh.remove(...before);
    mesh.mesh.put(...said);
    before = said;
    mesh.publish();
    /** Whether plaintext is always refused, or never, for a time. */
    const holds = async (): Promise<boolean> => {
      plain.reset();
      await sleep(WATCHED_MS);
      await waitUntil(() => plain.allowed + plain.refused >= TRIED_MIN, 'plaintext was tried');
      return (mode === 'STRICT' ? plain.allowed : plain.refused) === 0;
    };
    await waitUntil(holds, `${mode} holds, on open connections too`);
    assert.ok(await holds(), `${mode} goes on to hold`);
  }
  const { sent, late, answers, others } = await load.stop();
  assert.deepEqual([...answers], [[200, sent]], others.join('\n'));
  t.diagnostic(`${sent} requests, none failed, ${late} late`);
});
