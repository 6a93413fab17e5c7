// What a certificate costs a server end to end: CreateCertificate over TLS, the caller proven by
// its certificate or by a token, against issuing it in process. CPU time of the server alone.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ChannelCredentials } from '@grpc/grpc-js';
import { systemClock } from '#base/clock.ts';
import { systemRandom } from '#base/random.ts';
import { Issuer } from '#ca/issuer.ts';
import { SelfSignedSigner } from '#ca/self-signed-signer.ts';
import type { ServerAddresses } from '#controlplane/addresses.ts';
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from '#gen/bulwark/istio/v1/auth/ca_pb.js';
import { buildCsr, parseCsrPem } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { CertificateCaller } from '../../test/kit/certificate-caller.ts';
import { GrpcTestClient } from '../../test/kit/grpc-client.ts';
import { RealMesh } from '../../test/kit/real-mesh.ts';
import { createTestRoot } from '../../test/kit/test-root.ts';
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
const DAY_MS = 86_400_000;

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

/** The same certificate, issued in this process. */
async function inProcess(scope: Scope): Promise<Call> {
  const signer = new SelfSignedSigner(await createTestRoot(scope, systemClock));
  const options = { ttlMs: DAY_MS, ttlMsMax: 90 * DAY_MS };
  const deps = { signer: () => signer, clock: systemClock, random: systemRandom };
  const issuer = new Issuer(options, deps);
  const csr = buildCsr(IDENTITY, generateKeyPair());
  return async () => {
    const { publicKey } = parseCsrPem(csr);
    await issuer.issueForWorkload({ identity: IDENTITY, publicKey, ttlMs: 0 });
  };
}

/** The server's work for a call over its work for the certificate alone. */
export async function bench(): Promise<BenchResult> {
  const ends: (() => unknown)[] = [];
  const scope: Scope = { after: (end) => void ends.unshift(end as () => unknown) };
  try {
    const { pid, byToken, byCertificate } = await startServer(scope);
    const issue = await inProcess(scope);
    const rounds: { token: number; certificate: number; alone: number }[] = [];
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
      const certificate = await measure(pid, byCertificate, CALLERS);
      const token = await measure(pid, byToken, CALLERS);
      rounds.push({ certificate, token, alone: await measure(process.pid, issue, 1) });
    }
    return resultOf(rounds.slice(WARM_UP_ROUNDS));
  } finally {
    for (const end of ends) await end();
  }
}

function resultOf(
  rounds: readonly { token: number; certificate: number; alone: number }[],
): BenchResult {
  const ratios = rounds.map(({ certificate, alone }) => certificate / alone);
  const token = median(rounds.map((round) => round.token));
  return {
    name: 'create-certificate',
    numerator: {
      label: 'CreateCertificate over TLS, by certificate',
      value: median(rounds.map((round) => round.certificate)),
      unit: 'µs CPU',
    },
    denominator: {
      label: 'the same certificate in process',
      value: median(rounds.map((round) => round.alone)),
      unit: 'µs CPU',
    },
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: 1.54,
    note: `${token.toFixed(0)} µs by token; ${CALLERS} callers on ${CONNECTIONS} connections`,
  };
}
