import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { formatDurationMs } from '#base/duration.ts';

/** Why a certificate is asked for. */
export interface RenewalReason {
  /** CamelCase, for programs. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
}

/** What the decision is made from. */
export interface RenewalInput {
  readonly secret: WorkloadSecret | undefined;
  /** Chosen when it came (`renewalTime`), wall-clock milliseconds. */
  readonly renewAt: number;
  /** Now, wall-clock milliseconds. */
  readonly now: number;
}

type Predicate = (input: RenewalInput) => RenewalReason | undefined;

/** First that holds wins. */
const PREDICATES: readonly Predicate[] = [
  secretIsMissing,
  certificateHasExpired,
  certificateIsFromTheFuture,
  certificateNearsExpiry,
];

/** Whether a new certificate is needed now, and why. */
export function findRenewalReason(input: RenewalInput): RenewalReason | undefined {
  for (const predicate of PREDICATES) {
    const found = predicate(input);
    if (found) return found;
  }
  return undefined;
}

/**
 * The part of the lifetime after which a certificate is renewed, and how far chance moves it either
 * way.
 */
const RENEWAL_PART = 0.5;
const JITTER_PART = 0.05;

/**
 * When to renew: at half of the time that was left when it came, give or take a twentieth, so that
 * workloads that started together do not stay together. (Not of the whole lifetime: authorities
 * date certificates back.)
 * @param fraction chance, in [0, 1)
 */
export function renewalTime(
  { obtainedAt, notAfterAt }: Pick<WorkloadSecret, 'obtainedAt' | 'notAfterAt'>,
  fraction: number,
): number {
  const part = RENEWAL_PART + (fraction * 2 - 1) * JITTER_PART;
  return obtainedAt + (notAfterAt - obtainedAt) * part;
}

function secretIsMissing({ secret }: RenewalInput): RenewalReason | undefined {
  return secret ? undefined : { reason: 'Missing', message: 'there is no certificate yet' };
}

function certificateHasExpired({ secret, now }: RenewalInput): RenewalReason | undefined {
  if (!secret || now <= secret.notAfterAt) return undefined;
  const ago = formatDurationMs(now - secret.notAfterAt);
  return { reason: 'Expired', message: `the certificate expired ${ago} ago` };
}

/**
 * The clock was set back: peers with the right time may be fine, but this machine's Envoy is not.
 */
function certificateIsFromTheFuture({ secret, now }: RenewalInput): RenewalReason | undefined {
  if (!secret || now >= secret.notBeforeAt) return undefined;
  return { reason: 'NotYetValid', message: 'the clock is before the start of the certificate' };
}

function certificateNearsExpiry({ secret, renewAt, now }: RenewalInput): RenewalReason | undefined {
  if (!secret || now < renewAt) return undefined;
  const left = formatDurationMs(secret.notAfterAt - now);
  return { reason: 'NearsExpiry', message: `the certificate expires in ${left}` };
}
