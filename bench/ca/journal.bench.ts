// What the issuance journal costs: CreateCertificate over gRPC, 64 callers at once, with the
// journal on the disk and without one. CPU time of the whole process, in alternation.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { systemClock } from '#base/clock.ts';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { silentLogger } from '#base/log.ts';
import { SqliteIssuanceJournal } from '#ca/journal/sqlite-issuance-journal.ts';
import { IstioCertificateRequestSchema } from '#gen/bulwark/istio/v1/auth/ca_pb.js';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { CALLER, openCsrService } from '../../test/kit/csr-service.ts';
import { serveGrpc } from '../../test/kit/grpc-server.ts';
import type { BenchResult } from '../bench-result.ts';
import { median } from '../median.ts';

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const ROUNDS = 45;
const WARM_UP_ROUNDS = 5;
const CALLS = 640;
const CALLERS = 64;

/** CPU microseconds for each call. */
async function measure(call: () => Promise<void>): Promise<number> {
  const start = process.cpuUsage();
  let left = CALLS;
  const caller = async (): Promise<void> => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  const { user, system } = process.cpuUsage(start);
  return (user + system) / CALLS;
}

/** With the journal against without, the same service otherwise. */
export async function bench(): Promise<BenchResult> {
  const directory = await mkdtemp(join(tmpdir(), 'bw-bench-'));
  const ends: (() => unknown)[] = [() => rm(directory, { recursive: true })];
  const scope = { after: (end: () => unknown) => void ends.unshift(end) };
  const journal = new SqliteIssuanceJournal(
    { path: join(directory, 'issuance.db') },
    { clock: systemClock, log: silentLogger },
  );
  await journal.start();
  scope.after(() => journal.close());
  try {
    const record = journal.record.bind(journal);
    const kept = await client(scope, { record });
    const unkept = await client(scope, { record: async () => {} });
    const rounds: { kept: number; unkept: number }[] = [];
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
      // Each is first as often as the other: what the first leaves is collected in the second.
      const isKeptFirst = round % 2 === 0;
      const first = await measure(isKeptFirst ? kept : unkept);
      const second = await measure(isKeptFirst ? unkept : kept);
      rounds.push(isKeptFirst ? { kept: first, unkept: second } : { kept: second, unkept: first });
    }
    return resultOf(rounds.slice(WARM_UP_ROUNDS));
  } finally {
    for (const end of ends) await end();
  }
}

type Scope = Parameters<typeof openCsrService>[0];

/** A service of its own, and what makes one call to it. */
async function client(
  scope: Scope,
  options: NonNullable<Parameters<typeof openCsrService>[2]>,
): Promise<() => Promise<void>> {
  const { service } = await openCsrService(scope, undefined, options);
  const served = await serveGrpc(scope, service);
  const csr = buildCsr(CALLER, generateKeyPair());
  const request = toBinary(
    IstioCertificateRequestSchema,
    create(IstioCertificateRequestSchema, { csr }),
  );
  const metadata = { authorization: 'Bearer good' };
  return async () => {
    const { code } = await served.client.unary(METHOD, request, { metadata });
    if (code !== GRPC_STATUS.ok) throw new Error(`a call ended with status ${code}`);
  };
}

function resultOf(rounds: readonly { kept: number; unkept: number }[]): BenchResult {
  const ratios = rounds.map(({ kept, unkept }) => kept / unkept);
  const side = (label: string, values: readonly number[]) => ({
    label: `CreateCertificate, ${label}`,
    value: median(values),
    unit: 'µs CPU',
  });
  return {
    name: 'journal',
    numerator: side(
      'recorded on the disk',
      rounds.map(({ kept }) => kept),
    ),
    denominator: side(
      'not recorded',
      rounds.map(({ unkept }) => unkept),
    ),
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: 1.05,
    note: `${CALLERS} callers at once, caller and server in one process, without TLS`,
  };
}
