import type { RootState, RotationStep } from '#ca/roots/root-states.ts';
import type { Signer } from '#ca/signer.ts';
import type { SiteReport } from '#ca/sites/site-report.ts';
import type { Certificate } from '#pki/certificate.ts';
import type { PemText } from '#pki/pem.ts';

/** What the authorities of a server below another one stand on. */
export interface SignerStanding {
  /** Key id of the authority that signs now, lower case hex. */
  readonly signerKeyId: string;
  /** Key id of the root above an authority of this server; undefined when it is not known. */
  readonly rootAbove: (authorityKeyId: string) => string | undefined;
}

/** Who signs for the mesh and which roots it trusts, wherever they come from. */
export interface MeshRoots {
  /** All that are trusted, the active one first. */
  readonly roots: readonly { readonly state: RootState; readonly certificate: Certificate }[];
  /** Who signs now, below the active root. */
  readonly signer: Signer;
  /** The roots, PEM, the active one first. */
  readonly bundlePem: PemText;
  /** Revocation lists that came with them, PEM; left out when they never do. */
  readonly crlPem?: string;
  /**
   * All who can still sign lists for leaves that may be alive, the one who signs now first; left
   * out when that one is alone.
   */
  readonly listSigners?: readonly Signer[];
  /** Calls `listener` after each change, one after the other. */
  onChange(listener: () => Promise<void>): void;
  /**
   * Calls `listener` before a signer signs whom nobody may know yet, and waits for it; left out
   * where a step before (`prepare`) made it known.
   */
  onArrival?(listener: (signer: Signer) => Promise<void>): void;
  /**
   * Sets what a server above is told of this mesh each time it is asked for the roots; left out
   * where there is no server above.
   */
  reportWith?(report: (standing: SignerStanding) => SiteReport): void;
  /**
   * Goes one step from one root to the next.
   * @throws BulwarkError CA_ROTATION_REFUSED when the step cannot be taken
   */
  step(step: RotationStep): Promise<void>;
}
