// What a certificate costs a server end to end: CreateCertificate over TLS, the caller proven by
// its certificate or by a token, against the cryptography that each needs, measured in the same
// run: the caller's signature verified, one of ours made. CPU time of the server alone.
//
// Promised are 360 µs by certificate and 430 by token, where these two take 67 µs: so a busy or a
// faster machine changes both sides. The note has the figures of a slower machine beside it, on
// which Istio's server takes 432 and 535 µs (docs/adr/0041-what-a-start-and-a-certificate-cost.md).
import { sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ChannelCredentials } from '@grpc/grpc-js';
import { systemRandom } from '#base/random.ts';
import type { ServerAddresses } from '#controlplane/addresses.ts';
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from '#gen/bulwark/istio/v1/auth/ca_pb.js';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { CertificateCaller } from '../../test/kit/certificate-caller.ts';
import { GrpcTestClient } from '../../test/kit/grpc-client.ts';
import { RealMesh } from '../../test/kit/real-mesh.ts';
import type { BenchResult } from '../bench-result.ts';
import { cpuTimeOf } from '../cpu-time.ts';
import { median } from '../median.ts';

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const IDENTITY = parseSpiffeId('spiffe://cluster.local/ns/default/sa/default');
const ROUNDS = 9;
const WARM_UP_ROUNDS = 4;
const CALLS = 1500;
const CALLERS = 16;
const CONNECTIONS = 4;
/** About as many bytes as the signed part of a request or certificate has. */
const SIGNED_BYTES = 300;
/** What is promised, microseconds, and a verification and a signature on the same quiet machine. */
const PROMISED_US = { certificate: 360, token: 430 };
const CRYPTOGRAPHY_US = 67;
/** These two on the machine of Istio's figures. */
const PEERS_CRYPTOGRAPHY_US = 37 + 82;

type Call = () => Promise<void>;

/** CPU microseconds of a process for each call. */
async function measure(pid: number, call: Call, callers: number): Promise<number> {
  const before = cpuTimeOf(pid);
  let left = CALLS;
  const caller = async (): Promise<void> => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return (cpuTimeOf(pid) - before) / CALLS;
}

type Scope = Pick<TestContext, 'after'>;

interface Calls {
  readonly pid: number;
  readonly byToken: Call;
  readonly byCertificate: Call;
}

async function startServer(scope: Scope): Promise<Calls> {
  const mesh = new RealMesh(scope, { isMeasured: true });
  await mesh.startServer('--certificates-per-minute', '0');
  const caller = await CertificateCaller.connect(mesh.data);
  scope.after(() => caller.close());
  const authorization = `Bearer ${await caller.requestToken()}`;
  const addresses = readFileSync(join(mesh.data, 'addresses.json'), 'utf8');
  const { discovery } = JSON.parse(addresses) as ServerAddresses;
  const root = readFileSync(join(mesh.data, 'root-cert.pem'));
  const keys = generateKeyPair();
  const request = toBinary(
    IstioCertificateRequestSchema,
    create(IstioCertificateRequestSchema, { csr: buildCsr(IDENTITY, keys) }),
  );
  const connect = (key: Buffer | null, chain: Buffer | null): readonly GrpcTestClient[] =>
    Array.from(
      { length: CONNECTIONS },
      () =>
        new GrpcTestClient(scope, discovery, ChannelCredentials.createSsl(root, key, chain), {
          'grpc.ssl_target_name_override': 'istiod.istio-system.svc',
        }),
    );
  const ask = async (client: GrpcTestClient, metadata: Record<string, string>): Promise<Buffer> => {
    const stream = client.stream(METHOD, { metadata });
    stream.send(request);
    stream.finish();
    return stream.message(0);
  };
  const anonymous = connect(null, null);
  const first = await ask(anonymous[0] as GrpcTestClient, { authorization });
  const { certChain } = fromBinary(IstioCertificateResponseSchema, first);
  const key = Buffer.from(keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const named = connect(key, Buffer.from(certChain.slice(0, -1).join('')));
  let turn = 0;
  const next = (clients: readonly GrpcTestClient[]): GrpcTestClient => {
    turn += 1;
    return clients[turn % clients.length] as GrpcTestClient;
  };
  return {
    pid: mesh.serverPid,
    byToken: async () => void (await ask(next(anonymous), { authorization })),
    byCertificate: async () => void (await ask(next(named), {})),
  };
}

/** The cryptography of a certificate: the proof of its key verified, and one signature. */
function floor(): Call {
  const { publicKey, privateKey } = generateKeyPair();
  const bytes = systemRandom.bytes(SIGNED_BYTES);
  const proof = sign('sha256', bytes, privateKey);
  return async () => {
    if (!verify('sha256', bytes, publicKey, proof)) throw new Error('the proof does not verify');
    sign('sha256', bytes, privateKey);
  };
}

/** The server's work for a call over the cryptography in it. */
export async function bench(): Promise<BenchResult> {
  const ends: (() => unknown)[] = [];
  const scope: Scope = { after: (end) => void ends.unshift(end as () => unknown) };
  try {
    const { pid, byToken, byCertificate } = await startServer(scope);
    const least = floor();
    const rounds: Round[] = [];
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
      const certificate = await measure(pid, byCertificate, CALLERS);
      const token = await measure(pid, byToken, CALLERS);
      rounds.push({ certificate, token, least: await measure(process.pid, least, 1) });
    }
    return resultOf(rounds.slice(WARM_UP_ROUNDS));
  } finally {
    for (const end of ends) await end();
  }
}

interface Round {
  readonly certificate: number;
  readonly token: number;
  readonly least: number;
}

function resultOf(rounds: readonly Round[]): BenchResult {
  const ratios = rounds.map(({ certificate, least }) => certificate / least);
  const token = median(rounds.map((round) => round.token));
  const tokenRatio = median(rounds.map((round) => round.token / round.least));
  const [goal, tokenGoal] = goalsWhere(CRYPTOGRAPHY_US);
  return {
    name: 'create-certificate',
    numerator: {
      label: 'CreateCertificate over TLS, by certificate',
      value: median(rounds.map((round) => round.certificate)),
      unit: 'µs CPU',
    },
    denominator: {
      label: 'node:crypto: verify, sign',
      value: median(rounds.map((round) => round.least)),
      unit: 'µs CPU',
    },
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal,
    note:
      `by token ${token.toFixed(0)} µs, ${tokenRatio.toFixed(2)} for at most ${tokenGoal}; ` +
      `${CALLERS} callers on ${CONNECTIONS} connections; on the machine of Istio's figures ` +
      `360 and 430 µs would be ${goalsWhere(PEERS_CRYPTOGRAPHY_US).join(' and ')}`,
  };
}

/** By certificate and by token, over cryptography that takes so many microseconds. */
function goalsWhere(cryptographyUs: number): [number, number] {
  const over = (us: number): number => Number((us / cryptographyUs).toFixed(2));
  return [over(PROMISED_US.certificate), over(PROMISED_US.token)];
}
