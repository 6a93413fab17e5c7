import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { ANONYMOUS, AUTHENTICATED, type Caller } from '#apiserver/authorize.ts';
import { callerOf, type ServiceAccountTokens } from '#apiserver/service-account-tokens.ts';
import { unauthorized } from '#apiserver/status.ts';
import { bearerTokenOf } from '#base/bearer-token.ts';
import type { Clock } from '#base/clock.ts';

/**
 * Who sends the request: by the client certificate when there is a good one, else by the bearer
 * token, else nobody. Credentials that are there but do not hold are refused, also where nobody
 * would be let in.
 * @throws ApiError 401
 */
export async function authenticate(
  request: IncomingMessage,
  { tokens, clock }: { readonly tokens: ServiceAccountTokens; readonly clock: Clock },
): Promise<Caller> {
  const socket = request.socket as TLSSocket;
  const certified = callerOfCertificate(socket);
  if (certified) {
    // The connection verified it at its beginning; it may have lasted longer than the certificate.
    if (certified.notAfterAt < clock.now()) throw unauthorized();
    return certified.caller;
  }
  const { authorization } = request.headers;
  const token = bearerTokenOf(authorization);
  if (token === undefined && MEANS_BEARER.test(authorization ?? '')) throw unauthorized();
  if (token !== undefined) {
    const result = await tokens.reviewToken(token);
    if (!result.authenticated) throw unauthorized();
    return callerOf(result);
  }
  if (presentedCertificate(socket)) throw unauthorized();
  return ANONYMOUS;
}

/** A header that means to carry a token but does not is a credential that does not hold. */
const MEANS_BEARER = /^\s*bearer +\S/i;

function presentedCertificate(socket: TLSSocket): boolean {
  return socket.getPeerCertificate().raw !== undefined;
}

/** Whom a certificate is for, and until when, in milliseconds since 1970. */
interface CertifiedCaller {
  readonly caller: Caller;
  readonly notAfterAt: number;
}

const callers = new WeakMap<TLSSocket, CertifiedCaller>();

/**
 * User and groups of a client certificate that our authority for clients signed: common name and
 * organizations (kubernetes.io, "X.509 client certificates"). The connection verified it at its
 * beginning.
 */
function callerOfCertificate(socket: TLSSocket): CertifiedCaller | undefined {
  if (!socket.authorized) return undefined;
  const known = callers.get(socket);
  if (known) return known;
  const { subject, fingerprint256, valid_to: validTo } = socket.getPeerCertificate();
  const username = oneOf(subject?.CN);
  if (username === undefined) return undefined;
  const organizations = subject.O === undefined ? [] : [subject.O].flat();
  const digest = fingerprint256.replaceAll(':', '').toLowerCase();
  const caller = {
    username,
    groups: [...organizations, AUTHENTICATED],
    extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${digest}`] },
  };
  const certified = { caller, notAfterAt: Date.parse(validTo) };
  callers.set(socket, certified);
  return certified;
}

function oneOf(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
