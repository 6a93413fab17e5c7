import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { SignJWT } from 'jose';
import type { Clock } from '#base/clock.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import { GRPC_STATUS, type GrpcCall, type GrpcService, GrpcStatusError } from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import type { Authenticator, ProvenCaller } from '#ca/authenticator.ts';
import type { IssuanceRate } from '#ca/issuance-rate.ts';
import type { JwtKeys } from '#ca/jwt/jwt-keys.ts';
import type { JwtMetrics } from '#ca/jwt/metrics.ts';
import { RefusalLog } from '#ca/refusal-log.ts';
import {
  JwtSvidRequestSchema,
  type JwtSvidResponse,
  JwtSvidResponseSchema,
} from '#gen/bulwark/bulwark/identity/v1/jwt_svid_pb.js';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

export interface JwtSvidOptions {
  /** The life of a token, milliseconds. */
  readonly ttlMs: number;
  /** `iss` of the tokens, the URL of OIDC discovery; none when left out. */
  readonly issuer?: string | undefined;
}

export interface JwtSvidDeps {
  /** Proofs that are not used up; the same that certificates are given for. */
  readonly authenticator: Authenticator;
  readonly keys: Pick<JwtKeys, 'signer'>;
  readonly rate: IssuanceRate;
  /** Whether an identity was taken back. */
  readonly isRevoked: (identity: SpiffeId) => boolean;
  readonly metrics: JwtMetrics;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

interface ServiceParts extends JwtSvidDeps {
  readonly options: JwtSvidOptions;
  readonly refusals: RefusalLog;
}

const METHOD = '/bulwark.identity.v1.JwtSvidService/IssueJwtSvid';
const TOKEN_ID_BYTES = 16;

/**
 * Signs JWT-SVIDs (SPIFFE JWT-SVID): a token that names the caller's own identity, for the
 * audience that it asks for, and ends soon. Each one is written into the log, by its `jti`; a
 * journal would only hold what ends before anybody reads it.
 */
export function jwtSvidService(options: JwtSvidOptions, deps: JwtSvidDeps): GrpcService {
  const parts = { ...deps, options, refusals: new RefusalLog(deps) };
  return {
    unary: {
      [METHOD]: async (request, call) => {
        const response = await answer(request, call, parts);
        return toBinary(JwtSvidResponseSchema, response);
      },
    },
  };
}

async function answer(
  bytes: Uint8Array,
  call: GrpcCall,
  parts: ServiceParts,
): Promise<JwtSvidResponse> {
  const { rate, metrics, refusals } = parts;
  const caller = await authenticate(call, parts);
  const { identity } = caller;
  try {
    const audience = audienceOf(bytes);
    rate.take(identity);
    return await issue(audience, caller, { ...parts, peer: call.peer.address });
  } catch (error) {
    metrics.refused.add();
    refusals.warn('token refused', { identity, peer: call.peer.address, error });
    if (!isBulwarkError(error, 'CA_RATE_LIMITED')) throw error;
    const message = 'too many tokens for this identity';
    const retryMs = Number(error.data.retryMs);
    throw new GrpcStatusError(GRPC_STATUS.resourceExhausted, message, error, retryMs);
  }
}

async function issue(
  audience: readonly string[],
  { identity, method, proof }: ProvenCaller,
  parts: ServiceParts & { readonly peer: string },
): Promise<JwtSvidResponse> {
  const { keys, options, clock, random, metrics, log, peer } = parts;
  const { kid, privateKey } = keys.signer;
  const issuedAt = Math.floor(clock.now() / 1000);
  const expiresAt = issuedAt + Math.floor(options.ttlMs / 1000);
  const jti = Buffer.from(random.bytes(TOKEN_ID_BYTES)).toString('hex');
  const token = new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' })
    .setSubject(identity)
    .setAudience([...audience])
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .setJti(jti);
  if (options.issuer !== undefined) token.setIssuer(options.issuer);
  const signed = await token.sign(privateKey);
  metrics.issued.add();
  const notAfter = new Date(expiresAt * 1000).toISOString();
  log.info('token issued', { identity, audience, jti, kid, notAfter, method, proof, peer });
  return create(JwtSvidResponseSchema, {
    token: signed,
    spiffeId: identity,
    expiresAt: BigInt(expiresAt),
  });
}

function audienceOf(bytes: Uint8Array): readonly string[] {
  let audience: readonly string[];
  try {
    ({ audience } = fromBinary(JwtSvidRequestSchema, bytes));
  } catch (cause) {
    throw refused('the request does not parse', cause);
  }
  if (audience.length === 0) throw refused('an audience is needed');
  if (audience.length > LIMITS.tokenAudiencesMax)
    throw refused(`more than ${LIMITS.tokenAudiencesMax} audiences`);
  const isSound = (one: string) => one !== '' && one.length <= LIMITS.audienceLengthMax;
  if (!audience.every(isSound)) throw refused('an audience is empty or too long');
  return [...new Set(audience)];
}

/** The same answer whatever was wrong with the proof. */
async function authenticate(
  call: GrpcCall,
  { authenticator, isRevoked, metrics, refusals }: ServiceParts,
): Promise<ProvenCaller> {
  try {
    const caller = await authenticator.authenticate(call);
    if (!isRevoked(caller.identity)) return caller;
    throw new BulwarkError('CA_UNAUTHENTICATED', `the identity ${caller.identity} is revoked`);
  } catch (error) {
    if (!isBulwarkError(error, 'SPIFFE_INVALID') && !isBulwarkError(error, 'CA_UNAUTHENTICATED'))
      throw error;
    metrics.refused.add();
    refusals.warn('token refused: caller unknown', { peer: call.peer.address, error });
    const message = 'request authenticate failure';
    throw new GrpcStatusError(GRPC_STATUS.unauthenticated, message, error);
  }
}

function refused(message: string, cause?: unknown): GrpcStatusError {
  return new GrpcStatusError(GRPC_STATUS.invalidArgument, message, cause);
}
