import { fromBinary } from '@bufbuild/protobuf';
import type { Clock } from '#base/clock.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import { GRPC_STATUS, type GrpcCall, type GrpcService, GrpcStatusError } from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import { encodeMessage, field } from '#base/message-writer.ts';
import type { Authenticator, ProvenCaller } from '#ca/authenticator.ts';
import { type CsrRefusal, refusalOf } from '#ca/csr-refusal.ts';
import type { Impersonation } from '#ca/impersonation.ts';
import type { Intermediates } from '#ca/intermediates.ts';
import type { IssuanceRate } from '#ca/issuance-rate.ts';
import type { IssuedCertificate, Issuer } from '#ca/issuer.ts';
import type { IssuanceJournal } from '#ca/journal/journal.ts';
import type { CaMetrics } from '#ca/metrics.ts';
import { RefusalLog } from '#ca/refusal-log.ts';
import {
  type IstioCertificateRequest,
  IstioCertificateRequestSchema,
} from '#gen/bulwark/istio/v1/auth/ca_pb.js';
import { type Csr, parseCsrPem } from '#pki/csr.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** What the certificate service needs. */
export interface CsrServiceDeps {
  readonly authenticator: Authenticator;
  readonly issuer: Pick<Issuer, 'issueForWorkload'>;
  readonly impersonation: Pick<Impersonation, 'identityFor'>;
  readonly intermediates: Pick<Intermediates, 'checkProof' | 'issue' | 'listsFor' | 'rootsFor'>;
  readonly rate: IssuanceRate;
  readonly journal: Pick<IssuanceJournal, 'record'>;
  /** Whether an identity was taken back: it gets no certificates, however it proves itself. */
  readonly isRevoked: (identity: SpiffeId) => boolean;
  readonly metrics: CaMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

interface ServiceParts extends CsrServiceDeps {
  readonly refusals: RefusalLog;
}

/** Our agents say so beside the call, those of Istio by a wish that they always have. */
const AGENT_MARK = 'bulwark-agent';
const ISTIO_MARK = 'CertSigner';
const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

/**
 * The certificate service that agents call (Istio: IstioCertificateService). A caller gets a
 * certificate for the identity that its credential proves and for the key whose possession its
 * request proves; what else the request asks for is ignored (names, as istiod does) or refused (to
 * be an authority). Callers learn what they can mend, the log the whole reason. To be served on TLS
 * only.
 */
export function csrService(deps: CsrServiceDeps): GrpcService {
  const parts = { ...deps, refusals: new RefusalLog(deps) };
  return {
    unary: {
      [METHOD]: async (request, call) => {
        const chain = await createCertificate(request, call, parts);
        // istio.v1.auth.IstioCertificateResponse.
        return encodeMessage(...chain.map((pem) => field(1, pem)));
      },
    },
  };
}

async function createCertificate(
  bytes: Uint8Array,
  call: GrpcCall,
  parts: ServiceParts,
): Promise<readonly string[]> {
  const { metrics, refusals } = parts;
  metrics.requests.add();
  const caller = await authenticate(call, parts);
  const { identity } = caller;
  try {
    const { address: peer, verifiedCertificate } = call.peer;
    const certificate = caller.method === 'certificate' ? verifiedCertificate : undefined;
    const isAgent = call.metadata[AGENT_MARK] !== undefined;
    const asking = { caller, peer, certificate, isAgent, untilEnd: () => call.signal };
    return await issue(bytes, asking, parts);
  } catch (error) {
    const refusal = refusalOf(error);
    if (!refusal) throw error;
    count(refusal, metrics);
    refusals.warn('certificate refused', { identity, peer: call.peer.address, error });
    throw new GrpcStatusError(refusal.status, refusal.message, error, refusal.retryMs);
  }
}

interface Asking {
  readonly caller: ProvenCaller;
  /** The address that asks. */
  readonly peer: string;
  /** The client certificate, DER, when that is the proof. */
  readonly certificate?: Uint8Array | undefined;
  /** Whether it says that it is an agent, which will come back after a restart of this server. */
  readonly isAgent: boolean;
  /** Gives what aborts when the call ends: for those who wait, since each abort costs 30 µs. */
  readonly untilEnd: () => AbortSignal;
  /** What the certificate is for, when it is not for a workload. */
  readonly use?: string;
}

/** What can be refused is refused first, then a proof that is good once is used up. */
async function issue(
  bytes: Uint8Array,
  asking: Asking,
  parts: ServiceParts,
): Promise<readonly string[]> {
  const request = decode(bytes);
  const authority = wishOf(request, 'BulwarkAuthority');
  if (authority !== '') return serveAuthority(authority, request, asking, parts);
  const caller = await impersonated(asking.caller, request, parts);
  const { identity } = caller;
  const csr = readCsr(request.csr);
  noteForeignNames(csr, identity, parts);
  parts.rate.take(identity);
  await caller.claim?.();
  const ttlMs = Number(request.validityDuration) * 1000;
  const issued = await parts.issuer.issueForWorkload({ identity, publicKey: csr.publicKey, ttlMs });
  const isAgent = asking.isAgent || Object.hasOwn(request.metadata ?? {}, ISTIO_MARK);
  await keepRecord(issued, { ...asking, caller, isAgent }, parts);
  return issued.chain;
}

/** For a server below this one: the roots alone, lists, or a certificate to sign with. */
async function serveAuthority(
  wish: string,
  request: IstioCertificateRequest,
  asking: Asking,
  parts: ServiceParts,
): Promise<readonly string[]> {
  const { intermediates, rate, metrics, log } = parts;
  const { caller } = asking;
  const { identity, method } = caller;
  if (method === 'forwarded-certificate') {
    const message = `${identity}, known by the word of a proxy only, asks for an authority`;
    throw new BulwarkError('CA_INTERMEDIATE_REFUSED', message);
  }
  if (wish === 'roots') {
    const report = wishOf(request, 'BulwarkSite');
    return [intermediates.rootsFor({ identity, report, proof: asking.certificate })];
  }
  if (wish === 'lists') {
    if (asking.certificate) intermediates.checkProof(asking.certificate);
    const text = wishOf(request, 'BulwarkLists');
    return [await intermediates.listsFor({ identity, text, signal: asking.untilEnd() })];
  }
  if (wish !== 'intermediate') {
    const message = `nobody knows the kind of authority ${JSON.stringify(wish.slice(0, 64))}`;
    throw new BulwarkError('CA_CSR_INVALID', message);
  }
  if (asking.certificate) intermediates.checkProof(asking.certificate);
  const { publicKey } = readCsr(request.csr);
  rate.take(identity);
  await caller.claim?.();
  const lists = wishOf(request, 'BulwarkLists');
  const signal = asking.untilEnd();
  const issued = await intermediates.issue({ identity, publicKey, lists, signal });
  const use = 'intermediate authority';
  await keepRecord(issued, { ...asking, isAgent: false, use }, parts);
  metrics.intermediates.add();
  const { serial, notAfterAt } = issued.certificate;
  const notAfter = new Date(notAfterAt).toISOString();
  log.warn('an authority below this one was certified', { identity, serial, notAfter });
  return issued.chain;
}

/** The caller, or whom it may stand for if it asks for another. */
async function impersonated(
  caller: ProvenCaller,
  request: IstioCertificateRequest,
  { impersonation, metrics }: ServiceParts,
): Promise<ProvenCaller> {
  const asked = wishOf(request, 'ImpersonatedIdentity');
  if (asked === '') return caller;
  try {
    const identity = await impersonation.identityFor(caller, asked);
    metrics.impersonations.add('granted');
    return { ...caller, identity, proof: `${caller.proof} of ${caller.identity}` };
  } catch (error) {
    if (isBulwarkError(error, 'CA_IMPERSONATION_REFUSED')) metrics.impersonations.add('refused');
    throw error;
  }
}

/** A wish beside the request, by Istio's way for such; '' when there is none. */
function wishOf({ metadata }: IstioCertificateRequest, name: string): string {
  const wish = metadata !== undefined && Object.hasOwn(metadata, name) ? metadata[name] : '';
  if (typeof wish === 'string') return wish;
  throw new BulwarkError('CA_CSR_INVALID', `${name} in the metadata is no text`);
}

/** The record is on the disk before the certificate leaves. */
async function keepRecord(
  { certificate }: Pick<IssuedCertificate, 'certificate'>,
  { caller, peer, isAgent, use }: Asking,
  { journal, clock, metrics, log }: ServiceParts,
): Promise<void> {
  const { identity, method } = caller;
  const proof = use === undefined ? caller.proof : `${use}: ${caller.proof}`;
  const { serial, notBeforeAt, notAfterAt, authorityKeyId = '' } = certificate;
  const issuedAt = clock.now();
  const instants = { notBeforeAt, notAfterAt, issuedAt };
  const issuerKeyId = authorityKeyId;
  const by = { method, proof, caller: peer, isAgent };
  await journal.record({ serial, identity, ...instants, issuerKeyId, ...by });
  metrics.issued.add();
  metrics.proofs.add(method);
  const notAfter = new Date(notAfterAt).toISOString();
  log.info('certificate issued', { identity, serial, notAfter, method, proof, peer });
}

/** The same answer whatever was wrong, so that nobody learns about tokens by trying. */
async function authenticate(
  call: GrpcCall,
  { authenticator, isRevoked, metrics, refusals }: ServiceParts,
): Promise<ProvenCaller> {
  try {
    const caller = await authenticator.authenticate(call);
    if (!isRevoked(caller.identity)) return caller;
    throw new BulwarkError('CA_UNAUTHENTICATED', `the identity ${caller.identity} is revoked`);
  } catch (error) {
    const isNameless = isBulwarkError(error, 'SPIFFE_INVALID');
    if (!isNameless && !isBulwarkError(error, 'CA_UNAUTHENTICATED')) throw error;
    if (isNameless) metrics.identityErrors.add();
    metrics.authenticationFailures.add();
    refusals.warn('certificate refused: caller unknown', { peer: call.peer.address, error });
    const message = 'request authenticate failure';
    throw new GrpcStatusError(GRPC_STATUS.unauthenticated, message, error);
  }
}

function decode(bytes: Uint8Array): IstioCertificateRequest {
  try {
    return fromBinary(IstioCertificateRequestSchema, bytes);
  } catch (cause) {
    throw new BulwarkError('CA_CSR_INVALID', 'the message is no IstioCertificateRequest', {
      cause,
    });
  }
}

function readCsr(pem: string): Csr {
  if (pem.length > LIMITS.csrBytesMax) {
    const message = `the request is larger than ${LIMITS.csrBytesMax} bytes`;
    throw new BulwarkError('CA_CSR_INVALID', message, { data: { length: pem.length } });
  }
  const csr = parseCsrPem(pem);
  if (csr.requested.isCa)
    throw new BulwarkError('CA_CSR_INVALID', 'the request asks to become an authority');
  return csr;
}

/**
 * Not refused, because Istio's agents of all ages may ask for more than they get; but somebody may
 * want to know.
 */
function noteForeignNames(
  { requested: { names } }: Csr,
  identity: SpiffeId,
  { metrics, log, refusals }: ServiceParts,
): void {
  const { uris, dnsNames, ipAddresses, othersCount } = names;
  const others = dnsNames.length + ipAddresses.length + othersCount;
  if (others === 0 && uris.every((uri) => uri === identity)) return;
  metrics.foreignNames.add();
  refusals.warn('request asks for names that its caller does not have', { identity });
  log.debug('names that were asked for', { identity, ...names });
}

function count({ status, error, isUnreadable }: CsrRefusal, metrics: CaMetrics): void {
  // A proof that fails late, such as one that somebody else used up meanwhile.
  if (status === GRPC_STATUS.unauthenticated) metrics.authenticationFailures.add();
  if (isUnreadable) metrics.parsingErrors.add();
  if (error) metrics.signErrors.add(error);
}
