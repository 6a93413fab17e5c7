import { BulwarkError } from '#base/errors.ts';

declare const trustDomainBrand: unique symbol;
declare const spiffeIdBrand: unique symbol;

/**
 * A trust domain name that was checked: lower case letters, digits, `.`, `-`, `_` (SPIFFE-ID
 * section 2.1).
 */
export type TrustDomain = string & { readonly [trustDomainBrand]: true };

/** A SPIFFE id that was checked, in its one text form `spiffe://<trust domain>/<path>`. */
export type SpiffeId = string & { readonly [spiffeIdBrand]: true };

/** What the id of a Kubernetes-style workload is made of. */
export interface WorkloadIdentity {
  readonly trustDomain: TrustDomain;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const SCHEME = 'spiffe://';
/** Bytes of a trust domain name and of a whole id (SPIFFE-ID sections 2.1 and 2.3). */
const TRUST_DOMAIN_LENGTH_MAX = 255;
const SPIFFE_ID_LENGTH_MAX = 2048;

const TRUST_DOMAIN = /^[a-z0-9._-]+$/;
const SEGMENT = /^[A-Za-z0-9._-]+$/;

/**
 * Checks the name of a trust domain.
 * @throws BulwarkError SPIFFE_INVALID
 */
export function parseTrustDomain(text: string): TrustDomain {
  const problem = problemOfTrustDomain(text);
  if (problem) throw invalid(`${quote(text)} is no trust domain: ${problem}`);
  return text as TrustDomain;
}

/**
 * Checks the id of a workload. Only the one form of the SPIFFE-ID standard is accepted: scheme and
 * trust domain in lower case, a path of letters, digits, `.`, `-`, `_`; no port, user, query,
 * fragment, percent-encoding, empty or dot segment. An id without path names a trust domain, not a
 * workload, and is refused.
 * @throws BulwarkError SPIFFE_INVALID
 */
export function parseSpiffeId(text: string): SpiffeId {
  const problem = problemOfSpiffeId(text);
  if (problem) throw invalid(`${quote(text)} is no SPIFFE id: ${problem}`);
  return text as SpiffeId;
}

/**
 * `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`, the identity of everything that
 * runs under a service account (Istio, "Istio identity").
 * @throws BulwarkError SPIFFE_INVALID when the names cannot stand in a path
 */
export function workloadSpiffeId(identity: WorkloadIdentity): SpiffeId {
  const { trustDomain, namespace, serviceAccount } = identity;
  return parseSpiffeId(`${SCHEME}${trustDomain}/ns/${name(namespace)}/sa/${name(serviceAccount)}`);
}

/** The parts of an id that `workloadSpiffeId` made; undefined when it has another form. */
export function parseWorkloadId(id: SpiffeId): WorkloadIdentity | undefined {
  const [trustDomain, ns, namespace, sa, serviceAccount, ...more] = id
    .slice(SCHEME.length)
    .split('/');
  if (ns !== 'ns' || sa !== 'sa' || more.length > 0) return undefined;
  if (trustDomain === undefined || namespace === undefined || serviceAccount === undefined)
    return undefined;
  return { trustDomain: trustDomain as TrustDomain, namespace, serviceAccount };
}

/** One segment, so that a name with a slash does not become two. */
function name(text: string): string {
  const problem = problemOfSegment(text);
  if (problem) throw invalid(`${quote(text)} cannot be part of a SPIFFE id: ${problem}`);
  return text;
}

function problemOfTrustDomain(text: string): string | undefined {
  if (text === '') return 'it is empty';
  if (text.length > TRUST_DOMAIN_LENGTH_MAX)
    return `it is longer than ${TRUST_DOMAIN_LENGTH_MAX} bytes`;
  if (!TRUST_DOMAIN.test(text))
    return 'only lower case letters, digits, ".", "-" and "_" are allowed';
  return undefined;
}

function problemOfSpiffeId(text: string): string | undefined {
  if (text.length > SPIFFE_ID_LENGTH_MAX) return `it is longer than ${SPIFFE_ID_LENGTH_MAX} bytes`;
  if (!text.startsWith(SCHEME)) return `it does not start with ${SCHEME}`;
  const [trustDomain = '', ...segments] = text.slice(SCHEME.length).split('/');
  const problem = problemOfTrustDomain(trustDomain);
  if (problem) return `of its trust domain: ${problem}`;
  if (segments.length === 0) return 'it has no path';
  return segments.map(problemOfSegment).find((found) => found !== undefined);
}

function problemOfSegment(segment: string): string | undefined {
  if (segment === '') return 'a path segment is empty';
  if (segment === '.' || segment === '..') return 'a path segment is "." or ".."';
  if (!SEGMENT.test(segment))
    return 'in the path only letters, digits, ".", "-" and "_" are allowed';
  return undefined;
}

/**
 * Foreign text for a message: bounded, and with nothing in it that a terminal or log would obey.
 */
function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}

function invalid(message: string): BulwarkError {
  return new BulwarkError('SPIFFE_INVALID', message);
}
