import type { JwtSvidCache } from '#agent/jwt/jwt-svid-cache.ts';
import { validateJwtSvid } from '#agent/jwt/validate-jwt-svid.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import type { KnownBundles } from '#agent/trust/known-bundles.ts';
import {
  decodeJwtSvidRequest,
  decodeValidationRequest,
  encodeJwtSvids,
  encodeValidation,
} from '#agent/workload-api/messages.ts';
import type { Clock } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import { GRPC_STATUS, type GrpcStatusCode, GrpcStatusError } from '#base/grpc/grpc.ts';
import type { Logger } from '#base/log.ts';
import type { IssuedToken } from '#caclient/token-messages.ts';

export interface JwtMethodsDeps {
  readonly tokens: Pick<JwtSvidCache, 'token'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The calls of the SPIFFE Workload API for tokens (section 6) that are answered once. */
export class JwtMethods {
  readonly #deps: JwtMethodsDeps;
  #secret: WorkloadSecret | undefined;

  constructor(deps: JwtMethodsDeps) {
    this.#deps = deps;
  }

  /** Who the workload is, and what it knows, from now on. */
  publish(secret: WorkloadSecret): void {
    this.#secret = secret;
  }

  /**
   * FetchJWTSVID.
   * @throws GrpcStatusError INVALID_ARGUMENT without audience, PERMISSION_DENIED without identity
   *   or for another's, UNAVAILABLE while the control plane is away
   */
  async fetch(bytes: Uint8Array): Promise<Uint8Array> {
    const { audience, spiffeId } = decoded(() => decodeJwtSvidRequest(bytes));
    const isSound = audience.length > 0 && audience.every((one) => one !== '');
    if (!isSound) throw failed(GRPC_STATUS.invalidArgument, 'an audience is needed');
    const { secret, bundles } = this.#known();
    if (spiffeId !== '' && !isOf(spiffeId, secret, bundles))
      throw failed(GRPC_STATUS.permissionDenied, 'that is not the identity of this workload');
    try {
      const token = await this.#deps.tokens.token(audience, secret);
      await this.#check(token, audience[0] ?? '');
      return encodeJwtSvids(token);
    } catch (error) {
      this.#deps.log.warn('no token for the workload', { audience, error });
      throw refusalOf(error);
    }
  }

  /**
   * ValidateJWTSVID.
   * @throws GrpcStatusError INVALID_ARGUMENT when the token is not valid
   */
  async validate(bytes: Uint8Array): Promise<Uint8Array> {
    const { audience, token } = decoded(() => decodeValidationRequest(bytes));
    if (audience === '') throw failed(GRPC_STATUS.invalidArgument, 'an audience is needed');
    if (token === '') throw failed(GRPC_STATUS.invalidArgument, 'a token is needed');
    const { bundles } = this.#known();
    const at = this.#deps.clock.now();
    try {
      return encodeValidation(await validateJwtSvid(token, { audience, bundles, at }));
    } catch (error) {
      if (!isBulwarkError(error, 'TOKEN_INVALID')) throw error;
      throw failed(GRPC_STATUS.invalidArgument, error.message, error);
    }
  }

  /** Nothing that says somebody else, or that others would refuse, may reach the workload. */
  async #check({ token }: IssuedToken, audience: string): Promise<void> {
    const { secret, bundles } = this.#known();
    const at = this.#deps.clock.now();
    const { identity } = await validateJwtSvid(token, { audience, bundles, at });
    if (!isOf(identity, secret, bundles)) throw new Error(`the token names ${identity}`);
  }

  #known(): { readonly secret: WorkloadSecret; readonly bundles: KnownBundles } {
    const secret = this.#secret;
    if (!secret || secret.notAfterAt <= this.#deps.clock.now())
      throw failed(GRPC_STATUS.permissionDenied, 'no identity issued');
    const { bundles } = secret;
    if (!bundles) throw failed(GRPC_STATUS.unavailable, 'the keys for tokens are not known yet');
    return { secret, bundles };
  }
}

/** Whether an id is that of the workload, under any name of its trust domain. */
function isOf(id: string, { identity }: WorkloadSecret, { own }: KnownBundles): boolean {
  if (id === identity) return true;
  const path = identity.split('/').slice(3).join('/');
  return own.some((name) => id === `spiffe://${name}/${path}`);
}

function decoded<T>(decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw failed(GRPC_STATUS.invalidArgument, 'the request does not parse', cause);
  }
}

function refusalOf(error: unknown): GrpcStatusError {
  if (isBulwarkError(error, 'AGENT_CA_UNREACHABLE'))
    return failed(GRPC_STATUS.unavailable, 'the control plane gives no answer', error);
  if (isBulwarkError(error, 'CA_UNAUTHENTICATED'))
    return failed(GRPC_STATUS.permissionDenied, 'no token for this workload', error);
  const status = isBulwarkError(error, 'GRPC_FAILED') ? error.data.status : undefined;
  if (status === GRPC_STATUS.resourceExhausted)
    return failed(GRPC_STATUS.resourceExhausted, 'too many tokens; try again later', error);
  if (status === GRPC_STATUS.invalidArgument)
    return failed(GRPC_STATUS.invalidArgument, 'the audience is not acceptable', error);
  return failed(GRPC_STATUS.internal, 'no token could be had', error);
}

function failed(status: GrpcStatusCode, message: string, cause?: unknown): GrpcStatusError {
  return new GrpcStatusError(status, message, cause);
}
