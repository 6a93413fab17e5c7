// What a certificate costs: PEM request in, checked PEM certificate out, against the cryptography
// that cannot be saved. Both in CPU time of this process, in alternation.
import { createPublicKey, type KeyObject, type PublicKeyInput, sign, verify } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { present } from '#base/assert.ts';
import { type Clock, systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { Issuer } from '#ca/issuer.ts';
import { loadOrCreateRoot } from '#ca/root-files.ts';
import { type RootKey, SelfSignedSigner } from '#ca/self-signed-signer.ts';
import { buildCsr, parseCsrPem } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parseTrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';
import type { BenchResult } from '../bench-result.ts';

const ROUNDS = 31;
const WARM_UP_ROUNDS = 20;
/** Operations of each side in a round; every one with a key of its own. */
const BATCH = 400;
const DAY_MS = 86_400_000;
/** About as many bytes as the signed part of a request or certificate has. */
const SIGNED_BYTES = 300;

const trustDomain = parseTrustDomain('cluster.local');
const identity = workloadSpiffeId({
  trustDomain,
  namespace: 'photo-ns',
  serviceAccount: 'photo-frontend',
});

interface Caller {
  readonly csr: string;
  /** Its public key, X9.62 uncompressed. */
  readonly rawKey: Uint8Array;
  /** Its signature over `bytes` below. */
  readonly proof: Uint8Array;
}

const bytes = systemRandom.bytes(SIGNED_BYTES);

function createCaller(): Caller {
  const keys = generateKeyPair();
  return {
    csr: buildCsr(identity, keys),
    rawKey: keys.publicKey.export({ type: 'spki', format: 'der' }).subarray(-65),
    proof: sign('sha256', bytes, keys.privateKey),
  };
}

/** As in production: the root comes from its files. */
async function createRoot(): Promise<RootKey> {
  const directory = await mkdtemp(join(tmpdir(), 'bw-bench-'));
  try {
    return await loadOrCreateRoot(
      { directory, trustDomain, ttlMs: 3650 * DAY_MS },
      { clock: systemClock, random: systemRandom, log: silentLogger },
    );
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** The way of a request through the authority. */
function issuing(root: RootKey, clock: Clock): (caller: Caller) => Promise<unknown> {
  const signer = new SelfSignedSigner(root);
  const options = { ttlMs: DAY_MS, ttlMsMax: 90 * DAY_MS };
  const issuer = new Issuer(options, { signer: () => signer, clock, random: systemRandom });
  return async ({ csr }) => {
    const { publicKey } = parseCsrPem(csr);
    return issuer.issueForWorkload({ identity, publicKey, ttlMs: 0 });
  };
}

/** One import of a public key, one verification and one signature. */
async function floor({ rawKey, proof }: Caller, rootKey: KeyObject): Promise<void> {
  const input = { key: rawKey, format: 'raw-public', asymmetricKeyType: 'ec', namedCurve: 'P-256' };
  const key = createPublicKey(input as unknown as PublicKeyInput);
  if (!verify('sha256', bytes, key, proof)) throw new Error('the proof does not verify');
  sign('sha256', bytes, rootKey);
}

/** A clock that stands still between `stop` and `go`: the others' turns are no rest for us. */
function stopwatch(): Clock & { stop(): void; go(): void } {
  let elapsedMs = 0;
  let startedAtMs: number | undefined;
  const monotonicMs = (): number =>
    elapsedMs + (startedAtMs === undefined ? 0 : systemClock.monotonicMs() - startedAtMs);
  return {
    ...systemClock,
    monotonicMs,
    go: () => {
      startedAtMs = systemClock.monotonicMs();
    },
    stop: () => {
      elapsedMs = monotonicMs();
      startedAtMs = undefined;
    },
  };
}

/** CPU microseconds for each caller. */
async function measure(
  callers: readonly Caller[],
  operation: (caller: Caller) => Promise<unknown>,
): Promise<number> {
  const start = process.cpuUsage();
  for (const caller of callers) await operation(caller);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / callers.length;
}

function median(values: readonly number[]): number {
  return present(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)], 'median');
}

/** A certificate against import, verification and signature by node:crypto. */
export async function bench(): Promise<BenchResult> {
  const root = await createRoot();
  const callers = Array.from({ length: BATCH }, createCaller);
  // A clock on which a millisecond passes for each certificate: every signature is verified.
  let elapsedMs = 0;
  const patient = issuing(root, { ...systemClock, monotonicMs: () => elapsedMs++ });
  const clock = stopwatch();
  const ours = issuing(root, clock);
  const least = (caller: Caller) => floor(caller, root.privateKey);
  const rounds: { ours: number; least: number; patient: number }[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
    clock.go();
    const oursUs = await measure(callers, ours);
    clock.stop();
    const leastUs = await measure(callers, least);
    rounds.push({ ours: oursUs, least: leastUs, patient: await measure(callers, patient) });
  }
  const measured = rounds.slice(WARM_UP_ROUNDS);
  const ratios = measured.map((round) => round.ours / round.least);
  const patientRatio = median(measured.map((round) => round.patient / round.least));
  return {
    name: 'csr-to-certificate',
    numerator: {
      label: 'PEM request → checked PEM certificate',
      value: median(measured.map((round) => round.ours)),
      unit: 'µs CPU',
    },
    denominator: {
      label: 'node:crypto: import a key, verify, sign',
      value: median(measured.map((round) => round.least)),
      unit: 'µs CPU',
    },
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: 1.25,
    note:
      'without a pause: signatures beyond 1000 a second are verified in part; ' +
      `with every one ${patientRatio.toFixed(2)} (docs/adr/0007)`,
  };
}
