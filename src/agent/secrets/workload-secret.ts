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
  /** Lower case hex. */
  readonly serial: string;
  /** Wall-clock milliseconds. */
  readonly notBeforeAt: number;
  readonly notAfterAt: number;
  /** When it came, by the clock of this machine. */
  readonly obtainedAt: number;
}
