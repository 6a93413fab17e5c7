import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { create, fromBinary, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { systemClock } from '#base/clock.ts';
import { GRPC_STATUS, type GrpcCall, GrpcStatusError } from '#base/grpc/grpc.ts';
import { createLogger, silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import {
  type ReviewToken,
  ServiceAccountTokenAttestor,
} from '#ca/attestation/service-account-token.ts';
import { type Attestor, AttestorList } from '#ca/authenticator.ts';
import { csrService } from '#ca/csr-service.ts';
import { Impersonation, type ImpersonationDeps } from '#ca/impersonation.ts';
import { Intermediates } from '#ca/intermediates.ts';
import { IssuanceRate } from '#ca/issuance-rate.ts';
import { Issuer } from '#ca/issuer.ts';
import type { IssuanceRecord } from '#ca/journal/journal.ts';
import { declareCaMetrics } from '#ca/metrics.ts';
import type { MeshRoots } from '#ca/roots/mesh-roots.ts';
import { SelfSignedSigner } from '#ca/self-signed-signer.ts';
import type { Signer } from '#ca/signer.ts';
import type { SiteReport } from '#ca/sites/site-report.ts';
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from '#gen/bulwark/istio/v1/auth/ca_pb.js';
import { parseSpiffeId, type SpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { createTestRoot, TEST_TRUST_DOMAIN } from './test-root.ts';

const PATH = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const DAY_MS = 86_400_000;
/** Who the token `good` belongs to. */
export const CALLER = parseSpiffeId('spiffe://cluster.local/ns/photo-ns/sa/frontend');

interface Asked {
  readonly csr?: string;
  readonly seconds?: bigint;
  readonly metadata?: JsonObject;
  readonly authorization?: string;
  /** More headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The client certificate, DER. */
  readonly certificate?: Uint8Array;
  /** The caller's address. */
  readonly from?: string;
  /** The whole message, instead of one made of the above. */
  readonly bytes?: Uint8Array;
}

interface CsrServiceOptions {
  /** More attestors, asked first. */
  readonly attestors?: (clock: FakeClock) => readonly Attestor[];
  readonly perMinute?: number;
  readonly isRevoked?: (identity: string) => boolean;
  readonly record?: (entry: IssuanceRecord) => Promise<void>;
  /** Who may have an authority below, and who may ask for the workloads of its node. */
  readonly authorities?: readonly SpiffeId[];
  readonly nodeAgents?: readonly SpiffeId[];
  readonly runsOn?: ImpersonationDeps['runsOn'];
}

/**
 * The service with everything around it that is seen from outside: answers, metrics and log.
 */
export async function openCsrService(
  test: Pick<TestContext, 'after'>,
  reviewToken: ReviewToken = knowsFrontend,
  options: CsrServiceOptions = {},
) {
  // Whole seconds, as certificates have; real time, since TLS goes by it.
  const clock = new FakeClock(Math.floor(systemClock.now() / 1000) * 1000);
  const lines: string[] = [];
  const registry = new Metrics();
  const signer = new SelfSignedSigner(await createTestRoot(test, clock));
  const issuer = new Issuer(
    { ttlMs: DAY_MS, ttlMsMax: 90 * DAY_MS },
    { signer: () => signer, clock, random: systemRandom },
  );
  const isRevoked = options.isRevoked ?? (() => false);
  const tokens = new ServiceAccountTokenAttestor(
    { trustDomain: TEST_TRUST_DOMAIN, audiences: ['istio-ca'] },
    { reviewToken },
  );
  const records: IssuanceRecord[] = [];
  const heard: (SiteReport | undefined)[] = [];
  const keep = async (entry: IssuanceRecord) => void records.push(entry);
  const service = csrService({
    authenticator: new AttestorList([...(options.attestors?.(clock) ?? []), tokens]),
    issuer,
    rate: new IssuanceRate({ perMinute: options.perMinute ?? 0 }, { clock }),
    journal: { record: options.record ?? keep },
    isRevoked,
    ...delegationOf(options, { signer, issuer, clock, isRevoked, heard }),
    clock,
    metrics: declareCaMetrics(registry),
    log: createLogger({ level: 'debug', sink: { write: (line) => lines.push(line) } }),
  });
  const ask = async ({ csr = '', seconds = 0n, metadata, bytes, ...rest }: Asked) => {
    const handler = service.unary?.[PATH];
    assert.ok(handler);
    const message = create(IstioCertificateRequestSchema, { csr, validityDuration: seconds });
    if (metadata) message.metadata = metadata;
    const { authorization = 'Bearer good' } = rest;
    const call: GrpcCall = {
      path: PATH,
      metadata: { ...rest.headers, ...(authorization !== '' && { authorization }) },
      peer: { address: rest.from ?? '127.0.0.1:1', verifiedCertificate: rest.certificate },
      signal: new AbortController().signal,
    };
    const encoded = bytes ?? toBinary(IstioCertificateRequestSchema, message);
    return fromBinary(IstioCertificateResponseSchema, await handler(encoded, call)).certChain;
  };
  const counted = async (name: string) => {
    const line = (await registry.text()).split('\n').find((text) => text.startsWith(`${name} `));
    return Number(line?.split(' ')[1]);
  };
  const roots: MeshRoots = {
    roots: [],
    signer,
    bundlePem: issuer.trustBundle,
    onChange: () => {},
    step: async () => {},
  };
  return { clock, service, issuer, roots, ask, lines, records, heard, counted };
}

interface Around {
  readonly signer: Signer;
  readonly issuer: Issuer;
  readonly clock: FakeClock;
  readonly isRevoked: (identity: string) => boolean;
  /** What servers below said. */
  readonly heard: (SiteReport | undefined)[];
}

/** Who may have more than its own certificate. */
function delegationOf(options: CsrServiceOptions, around: Around) {
  const { signer, issuer, clock, isRevoked, heard } = around;
  const { authorities, nodeAgents, runsOn = async () => false } = options;
  const trustDomain = TEST_TRUST_DOMAIN;
  const intermediates = new Intermediates(
    { identities: new Set(authorities), trustDomains: [trustDomain], ttlMs: 7 * DAY_MS },
    {
      signer: () => signer,
      trustBundle: () => issuer.trustBundle,
      roots: () => signer.issuers.slice(-1),
      lists: { exchange: async () => '' },
      sites: { certified: async () => {}, heard: (_, report) => heard.push(report) },
      clock,
      log: silentLogger,
      random: systemRandom,
    },
  );
  const impersonation = new Impersonation(
    { trustDomain, nodeAgents: new Set(nodeAgents) },
    { runsOn, isRevoked },
  );
  return { intermediates, impersonation };
}

const knowsFrontend: ReviewToken = async (token, audiences) =>
  token === 'good' && audiences.includes('istio-ca')
    ? { authenticated: true, namespace: 'photo-ns', serviceAccount: 'frontend' }
    : { authenticated: false, error: 'token has expired' };

/** Whether a call ended so. */
export const refused = (status: number, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof GrpcStatusError, String(error));
  assert.equal(error.status, status);
  assert.match(error.message, message);
  return true;
};
/** Whether a call ended with INVALID_ARGUMENT and this reason. */
export const signingRefused = (reason: string) =>
  refused(GRPC_STATUS.invalidArgument, new RegExp(`^CSR signing error \\(${reason}\\)$`));
