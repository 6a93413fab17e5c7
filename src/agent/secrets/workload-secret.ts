import type { KnownBundles } from '#agent/trust/known-bundles.ts';
import type { Secret } from '#base/secret.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** Key, certificate and roots of one workload: checked, in memory only, never changed. */
export interface WorkloadSecret {
  readonly identity: SpiffeId;
  /** PKCS #8, PEM. */
  readonly privateKeyPem: Secret<string>;
  /** Leaf and intermediates, PEM. */
  readonly chainPem: string;
  /** PEM. */
  readonly rootsPem: string;
  /** Revocation lists of the roots, PEM; none when left out. */
  readonly crlPem?: string | undefined;
  /** Whether these are for the authorities above leaves only; true when left out. */
  readonly isLeafOnly?: boolean | undefined;
  /** All trust domains that the workload knows; unknown yet when left out. */
  readonly bundles?: KnownBundles | undefined;
  /** Lower case hex. */
  readonly serial: string;
  /** Wall-clock milliseconds. */
  readonly notBeforeAt: number;
  readonly notAfterAt: number;
  /** When it came, by the clock of this machine. */
  readonly obtainedAt: number;
}
