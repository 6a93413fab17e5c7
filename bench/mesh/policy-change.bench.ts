// How long from sending a policy to the API until a running Envoy enforces it on an open
// connection: the whole way, with processes of their own and real Envoys.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KeepAliveClient } from '../../test/kit/keep-alive-client.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import { DemoWorld } from '../../tools/demo/world.ts';
import type { BenchResult } from '../bench-result.ts';

const ROUNDS = 25;
/** What users may expect (design: "policy change → enforced on a running Envoy"), milliseconds. */
const LIMIT_MS = 100;
const TARGET = 'http://photo-backend.photo-ns/photos';
const POLICIES = '/apis/security.istio.io/v1/namespaces/photo-ns/authorizationpolicies';
const POLICY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: bench, namespace: photo-ns}
spec:
  selector: {matchLabels: {app: photo-backend}}
  action: DENY
  rules: [{to: [{operation: {methods: [GET]}}]}]
`;

/** Milliseconds from the call of `change` until the open connection answers `status`. */
async function measure(
  client: KeepAliveClient,
  status: number,
  change: () => Promise<void>,
): Promise<number> {
  const startMs = performance.now();
  const look = async (): Promise<boolean> => {
    const answer = await client.ask({ target: TARGET });
    if (!answer.reused) throw new Error('the connection was opened anew');
    return answer.status === status;
  };
  const seen = waitUntil(look, `status ${status}`, { everyMs: 0 }).then(() => performance.now());
  const [endMs] = await Promise.all([seen, change()]);
  return endMs - startMs;
}

/** Policy sent → enforced, against the bound that users are promised. */
export async function bench(): Promise<BenchResult> {
  const world = new DemoWorld({
    root: fileURLToPath(new URL('../..', import.meta.url)),
    directory: mkdtempSync(join(tmpdir(), 'bw-')),
    certTtl: '1h',
    report: () => {},
  });
  try {
    await world.start();
    const client = new KeepAliveClient({ port: world.httpProxyPortOf('photo-frontend') });
    await client.ask({ target: TARGET });
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      times.push(await measure(client, 403, () => world.server.apply(POLICY)));
      times.push(await measure(client, 200, () => world.server.remove(`${POLICIES}/bench`)));
    }
    client.close();
    const sorted = times.sort((a, b) => a - b);
    const at = (part: number): number => sorted[Math.floor((sorted.length - 1) * part)] ?? 0;
    return {
      name: 'policy change enforced on an open connection',
      numerator: { label: 'median, API call → enforced', value: at(0.5), unit: 'ms' },
      denominator: { label: 'promised', value: LIMIT_MS, unit: 'ms' },
      ratio: at(0.5) / LIMIT_MS,
      spread: { min: at(0) / LIMIT_MS, max: at(1) / LIMIT_MS },
      goal: 1,
      note: `${times.length} changes, half of them deletions; 90 % within ${at(0.9).toFixed(0)} ms`,
    };
  } finally {
    await world.close();
  }
}
