// What renewing a thousand identities costs: key, request, certificate, its checks and the messages
// of SDS, agent and authority in this process and no sockets, against the cryptography in it.
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createAgentMetrics } from '#agent/metrics.ts';
import { SdsServer } from '#agent/sds/sds-server.ts';
import { SecretCache } from '#agent/secrets/secret-cache.ts';
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
const ROUNDS = 7;
const WARM_UP_ROUNDS = 3;
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
  const deps = { signer: () => signer, clock: systemClock, random: systemRandom };
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
      onSecret: (secret: Parameters<SdsServer['publish']>[0]) => {
        sds.publish(secret);
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

/**
 * Of each identity a key pair and its import by the authority; the signature on its request and on
 * its certificate; and for each of the two the verification by the other side.
 */
function openFloor(): () => Promise<void> {
  const root = generateKeyPair();
  const sent = root.publicKey.export({ type: 'spki', format: 'pem' });
  const bytes = systemRandom.bytes(SIGNED_BYTES);
  const checked = (signer: KeyObject, key: KeyObject): void => {
    if (!verify('sha256', bytes, key, sign('sha256', bytes, signer))) throw new Error('wrong');
  };
  return async () => {
    for (let count = 0; count < IDENTITIES; count += 1) {
      const keys = generateKeyPair();
      createPublicKey(sent);
      checked(keys.privateKey, keys.publicKey);
      checked(root.privateKey, root.publicKey);
    }
  };
}

/** The rotation over its cryptography. */
export async function bench(): Promise<BenchResult> {
  const ends: (() => unknown)[] = [];
  const scope: Scope = { after: (end) => void ends.unshift(end as () => unknown) };
  try {
    const rotate = await openWorkloads(scope);
    const floor = openFloor();
    const rounds: { readonly ours: number; readonly floor: number }[] = [];
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1)
      rounds.push({ floor: await measure(floor), ours: await measure(rotate) });
    return resultOf(rounds.slice(WARM_UP_ROUNDS));
  } finally {
    for (const end of ends) await end();
  }
}

function resultOf(rounds: readonly { ours: number; floor: number }[]): BenchResult {
  const ratios = rounds.map(({ ours, floor }) => ours / floor);
  return {
    name: 'rotation',
    numerator: {
      label: `renewal, one of ${IDENTITIES}`,
      value: median(rounds.map(({ ours }) => ours)),
      unit: 'µs CPU',
    },
    denominator: {
      label: 'two signatures, two verifications and a key',
      value: median(rounds.map(({ floor }) => floor)),
      unit: 'µs CPU',
    },
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: 1.5,
    note: 'agent and authority in one process, without the connections between them',
  };
}
