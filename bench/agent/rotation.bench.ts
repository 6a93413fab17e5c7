// What renewing a thousand identities costs: key, request, certificate, its checks and the message
// of SDS, agent and authority in this process and no sockets, against the cryptography in it.
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createAgentMetrics } from '#agent/metrics.ts';
import { encodeDeltaResponse, encodeTlsCertificate } from '#agent/sds/messages.ts';
import { SdsServer } from '#agent/sds/sds-server.ts';
import { WORKLOAD_SECRET_NAME } from '#agent/sds/secret-names.ts';
import { SecretCache } from '#agent/secrets/secret-cache.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { present } from '#base/assert.ts';
import { systemClock } from '#base/clock.ts';
import { Lanes } from '#base/lanes.ts';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { Secret } from '#base/secret.ts';
import { Issuer } from '#ca/issuer.ts';
import { SelfSignedSigner } from '#ca/self-signed-signer.ts';
import type { CertificateAuthority } from '#caclient/ca-client.ts';
import { parseCsrPem } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parseTrustDomain, type SpiffeId, workloadSpiffeId } from '#spiffe/spiffe-id.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';
import { createTestRoot } from '../../test/kit/test-root.ts';
import type { BenchResult } from '../bench-result.ts';
import { median } from '../median.ts';

const IDENTITIES = 1000;
/** A round that the collector of garbage falls into is a tenth dearer than one without. */
const ROUNDS = 31;
const WARM_UP_ROUNDS = 10;
const DAY_MS = 86_400_000;
/** About as many bytes as the signed part of a request or certificate has. */
const SIGNED_BYTES = 300;
const LANES = 8;

type Scope = Pick<TestContext, 'after'>;

/** CPU microseconds of this process for each identity. */
async function measure(work: () => Promise<void>): Promise<number> {
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / IDENTITIES;
}

/** An authority without a connection to it; the identity is the one that the request names. */
async function openAuthority(scope: Scope): Promise<CertificateAuthority> {
  const signer = new SelfSignedSigner(await createTestRoot(scope, systemClock));
  const options = { ttlMs: DAY_MS, ttlMsMax: 90 * DAY_MS };
  // A clock on which a millisecond passes for each certificate: every signature is verified.
  let elapsedMs = 0;
  const clock = { ...systemClock, monotonicMs: () => elapsedMs++ };
  const deps = { signer: () => signer, clock, random: systemRandom };
  const issuer = new Issuer(options, deps);
  return {
    async sign({ csr }) {
      const { publicKey, requested } = parseCsrPem(csr);
      const identity = present(requested.names.uris[0], 'identity') as SpiffeId;
      const { chain } = await issuer.issueForWorkload({ identity, publicKey, ttlMs: 0 });
      return chain;
    },
    close() {},
  };
}

/** A thousand workloads of one agent; gives what renews all of them. */
async function openWorkloads(scope: Scope): Promise<() => Promise<void>> {
  const authority = await openAuthority(scope);
  const metrics = createAgentMetrics(new Metrics());
  const directory = temporaryDirectory(scope);
  const deps = { clock: systemClock, random: systemRandom, log: silentLogger, metrics };
  const token = new Secret('none is asked for');
  const tokens = { description: '', token: async () => token, wasRefused: () => {} };
  const lanes = new Lanes(LANES);
  const trustDomain = parseTrustDomain('cluster.local');
  let left = 0;
  let all = Promise.withResolvers<void>();
  const caches = Array.from({ length: IDENTITIES }, (_, index) => {
    const [namespace, serviceAccount] = ['default', `app-${index}`];
    const sds = new SdsServer({ socketPath: join(directory, `${index}.sock`) }, deps);
    const options = {
      identity: workloadSpiffeId({ trustDomain, namespace, serviceAccount }),
      namespace,
      serviceAccount,
      audience: 'istio-ca',
      ttlMs: DAY_MS,
      onSecret: (secret: WorkloadSecret) => {
        sds.publish(secret);
        push(secret);
        left -= 1;
        if (left === 0) all.resolve();
      },
      onFailure: all.reject,
    };
    const cache = new SecretCache(options, { ...deps, authority, lanes, tokens });
    scope.after(() => cache.close());
    return cache;
  });
  const renewed = async (ask: (cache: SecretCache) => unknown): Promise<void> => {
    left = IDENTITIES;
    all = Promise.withResolvers();
    for (const cache of caches) ask(cache);
    await all.promise;
  };
  await renewed((cache) => cache.start());
  const reason = { reason: 'Requested', message: 'the benchmark wants it' } as const;
  return () => renewed((cache) => cache.renewSoon(reason, 0));
}

/** Writes what an Envoy is sent; the roots are those that it has. */
function push({ chainPem, privateKeyPem, serial: version }: WorkloadSecret): Buffer {
  const secret = encodeTlsCertificate(WORKLOAD_SECRET_NAME, chainPem, privateKeyPem.reveal());
  return encodeDeltaResponse([{ name: WORKLOAD_SECRET_NAME, version, secret }], [], '1');
}

interface Floor {
  /**
   * Of each identity what no exchange of this kind can do without: a key pair, its import by the
   * authority, the signatures on request and certificate, and for each of the two the verification
   * by the other side.
   */
  readonly exchange: () => Promise<void>;
  /**
   * What our authority promises beyond that: each certificate is verified before it leaves. All of
   * them are here: a thousand at once are within its budget (docs/adr/0007).
   */
  readonly promise: () => Promise<void>;
}

/** With each of these left out, a test fails: those of csr, issued-chain and issuer. */
function openFloor(): Floor {
  const root = generateKeyPair();
  const sent = root.publicKey.export({ type: 'spki', format: 'pem' });
  const bytes = systemRandom.bytes(SIGNED_BYTES);
  const signature = sign('sha256', bytes, root.privateKey);
  const check = (key: KeyObject, by: Buffer): void => {
    if (!verify('sha256', bytes, key, by)) throw new Error('wrong');
  };
  const ofEach = (work: () => void) => async () => {
    for (let count = 0; count < IDENTITIES; count += 1) work();
  };
  return {
    exchange: ofEach(() => {
      const keys = generateKeyPair();
      createPublicKey(sent);
      check(keys.publicKey, sign('sha256', bytes, keys.privateKey));
      check(root.publicKey, sign('sha256', bytes, root.privateKey));
    }),
    promise: ofEach(() => check(root.publicKey, signature)),
  };
}

interface Round {
  readonly ours: number;
  readonly exchange: number;
  readonly promise: number;
}

/** The rotation over its cryptography. */
export async function bench(): Promise<BenchResult> {
  const ends: (() => unknown)[] = [];
  const scope: Scope = { after: (end) => void ends.unshift(end as () => unknown) };
  try {
    const rotate = await openWorkloads(scope);
    const floor = openFloor();
    const rounds: Round[] = [];
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
      const [exchange, promise] = [await measure(floor.exchange), await measure(floor.promise)];
      rounds.push({ exchange, promise, ours: await measure(rotate) });
    }
    return resultOf(rounds.slice(WARM_UP_ROUNDS));
  } finally {
    for (const end of ends) await end();
  }
}

function resultOf(rounds: readonly Round[]): BenchResult {
  const ratios = rounds.map(({ ours, exchange, promise }) => ours / (exchange + promise));
  const bare = median(rounds.map(({ ours, exchange }) => ours / exchange));
  return {
    name: 'rotation',
    numerator: {
      label: `renewal, one of ${IDENTITIES}`,
      value: median(rounds.map(({ ours }) => ours)),
      unit: 'µs CPU',
    },
    denominator: {
      label: 'a key, its import, two signatures, three verifications',
      value: median(rounds.map(({ exchange, promise }) => exchange + promise)),
      unit: 'µs CPU',
    },
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: 1.5,
    note: `agent and authority in one process, without connections; ${bare.toFixed(2)} without the authority's own check in the floor`,
  };
}
