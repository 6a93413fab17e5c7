import type { Clock } from '#base/clock.ts';
import type { Metrics } from '#base/metrics.ts';
import { ATTESTATION_METHODS, type AttestationMethod } from '#ca/authenticator.ts';
import type { Signer } from '#ca/signer.ts';

/** The closed set of values of the label `error`. */
const SIGN_ERRORS = [
  'CSR_ERROR',
  'TTL_ERROR',
  'CA_NOT_READY',
  'CERT_GEN_ERROR',
  'RATE_LIMITED',
  'NOT_RECORDED',
  'INTERMEDIATE_REFUSED',
  'LISTS_REFUSED',
] as const;

/** Why a certificate was not signed. */
export type SignError = (typeof SIGN_ERRORS)[number];

/** The metrics of the certificate authority; Istio's names, where it has one. */
export function declareCaMetrics(metrics: Metrics) {
  const counter = (name: string, help: string) => {
    const declared = metrics.counter({ name, help });
    return { add: (): void => declared.inc() };
  };
  const signErrors = metrics.counter({
    name: 'citadel_server_csr_sign_err_count',
    help: 'Requests that were read but got no certificate.',
    labels: ['error'],
  });
  for (const error of SIGN_ERRORS) signErrors.inc({ error }, 0);
  const proofs = metrics.counter({
    name: 'bulwark_ca_issued_total',
    help: 'Certificates that were issued to workloads, by how they proved who they are.',
    labels: ['method'],
  });
  for (const method of ATTESTATION_METHODS) proofs.inc({ method }, 0);
  const impersonations = metrics.counter({
    name: 'bulwark_ca_impersonations_total',
    help: 'Requests of node agents for the identity of another, by what came of them.',
    labels: ['result'],
  });
  for (const result of ['granted', 'refused'] as const) impersonations.inc({ result }, 0);
  return {
    impersonations: {
      add: (result: 'granted' | 'refused'): void => impersonations.inc({ result }),
    },
    intermediates: counter(
      'bulwark_ca_intermediates_issued_total',
      'Certificates that were issued to authorities below this one.',
    ),
    proofs: { add: (method: AttestationMethod): void => proofs.inc({ method }) },
    requests: counter('citadel_server_csr_count', 'Requests for a certificate.'),
    issued: counter(
      'citadel_server_success_cert_issuance_count',
      'Certificates that were issued to workloads.',
    ),
    authenticationFailures: counter(
      'citadel_server_authentication_failure_count',
      'Requests whose caller did not prove who it is.',
    ),
    parsingErrors: counter(
      'citadel_server_csr_parsing_err_count',
      'Requests that could not be read, or did not prove possession of an acceptable key.',
    ),
    identityErrors: counter(
      'citadel_server_id_extraction_err_count',
      'Callers whose names cannot form an identity.',
    ),
    foreignNames: counter(
      'bulwark_ca_csr_foreign_names_total',
      'Requests that asked for other names than their caller has; it got its own.',
    ),
    signErrors: { add: (error: SignError): void => signErrors.inc({ error }) },
  };
}

/** The counters that `declareCaMetrics` declared. */
export type CaMetrics = ReturnType<typeof declareCaMetrics>;

/**
 * Gauges that tell when the certificates of the authority end; a negative number of seconds is how
 * long ago.
 */
export function declareExpiryMetrics(
  metrics: Metrics,
  { signer, clock }: { readonly signer: () => Signer; readonly clock: Clock },
): void {
  const rootEndAt = () => signer().issuers.at(-1)?.notAfterAt ?? Number.NaN;
  const chainEndAt = () => Math.min(...signer().issuers.map(({ notAfterAt }) => notAfterAt));
  for (const [subject, what, endAt] of [
    ['root_cert', 'root certificate', rootEndAt],
    ['cert_chain', 'first certificate of the chain above workloads', chainEndAt],
  ] as const) {
    const name = `citadel_server_${subject}_expiry`;
    metrics.gaugeOf(
      { name: `${name}_timestamp`, help: `When the ${what} expires, in seconds since 1970.` },
      () => endAt() / 1000,
    );
    metrics.gaugeOf(
      { name: `${name}_seconds`, help: `Seconds until the ${what} expires.` },
      () => (endAt() - clock.now()) / 1000,
    );
  }
  metrics.gaugeOf(
    {
      name: 'bulwark_ca_root_cert_life_used_ratio',
      help: 'The part of the life of the root certificate that is over; 1 = it has expired.',
    },
    () => {
      const { notBeforeAt = Number.NaN, notAfterAt = Number.NaN } = signer().issuers.at(-1) ?? {};
      return (clock.now() - notBeforeAt) / (notAfterAt - notBeforeAt);
    },
  );
}

/**
 * The counter of a server below another one, each result from 0 on.
 * @returns what is to be called after each attempt to ask the server above
 */
export function declareUpstreamMetrics(metrics: Metrics): (result: 'ok' | 'failed') => void {
  const requests = metrics.counter({
    name: 'bulwark_ca_upstream_requests_total',
    help: 'Times that the upstream authority was asked, by whether it helped.',
    labels: ['result'],
  });
  for (const result of ['ok', 'failed'] as const) requests.inc({ result }, 0);
  return (result) => requests.inc({ result });
}

/** What the gauges of revocation show. */
export interface RevocationFigures {
  /** CertificateRevocation objects in force. */
  readonly revocations: () => number;
  readonly figures: () => ListFigures;
  readonly clock: Clock;
}

/** The revocation lists that are given out; wall-clock milliseconds, 0 = there are none. */
export interface ListFigures {
  /** When the oldest of them was signed that can be signed anew. */
  readonly thisUpdateAt: number;
  /** When the first of them expires. */
  readonly nextUpdateAt: number;
  /** Authorities without a list, for want of which none is given out. */
  readonly missing: number;
  /** Revoked certificates that found no place in the lists. */
  readonly leftOut: number;
  /** Revoked certificates. */
  readonly certificates: number;
}

/** Gauges of what is revoked, and of the age of the lists that say so. */
export function declareRevocationMetrics(
  metrics: Metrics,
  { revocations, figures, clock }: RevocationFigures,
): void {
  const gauge = (name: string, help: string, value: () => number): void =>
    metrics.gaugeOf({ name, help }, value);
  gauge('bulwark_ca_revocations', 'CertificateRevocation objects in force.', () => revocations());
  gauge(
    'bulwark_ca_revoked_certificates',
    'Certificates that are revoked.',
    () => figures().certificates,
  );
  gauge(
    'bulwark_ca_crl_left_out_certificates',
    'Revoked certificates for which the revocation lists have no place.',
    () => figures().leftOut,
  );
  gauge(
    'bulwark_ca_crl_missing_issuers',
    'Authorities without a revocation list, for want of which none is given out.',
    () => figures().missing,
  );
  gauge(
    'bulwark_ca_crl_age_seconds',
    'Seconds since the oldest revocation list was signed, 0 while none is given out; alarm above ' +
      'two days.',
    () => {
      const { thisUpdateAt } = figures();
      return thisUpdateAt === 0 ? 0 : (clock.now() - thisUpdateAt) / 1000;
    },
  );
  gauge(
    'bulwark_ca_crl_next_update_timestamp',
    'When the first revocation list expires, in seconds since 1970; 0 while none is given out.',
    () => figures().nextUpdateAt / 1000,
  );
}

/**
 * What is told of the revocation lists of the servers below.
 * @param figures.oldest seconds since the site was heard that is silent for longest; 0 = no sites
 */
export function declareSiteListMetrics(
  metrics: Metrics,
  { oldest }: { readonly oldest: () => number },
) {
  const refused = metrics.counter({
    name: 'bulwark_ca_site_lists_refused_total',
    help: 'Revocation lists of servers below that were not their own, not good, or older ones.',
  });
  refused.inc({}, 0);
  const name = 'bulwark_ca_site_lists_age_seconds';
  const help = 'Seconds since the server below sent its lists that is silent for longest.';
  metrics.gaugeOf({ name, help }, oldest);
  return { refused };
}

/**
 * What is told of the revocation lists of the server above.
 * @param figures.age seconds since it was heard last; 0 = there is none above
 */
export function declareUpstreamListMetrics(
  metrics: Metrics,
  { age }: { readonly age: () => number },
): void {
  const name = 'bulwark_ca_upstream_lists_age_seconds';
  const help = 'Seconds since the server above was heard of its revocation lists.';
  metrics.gaugeOf({ name, help }, age);
}
