import type { Mesh } from '#controlplane/mesh.ts';
import { meshTrustDomains } from '#model/mesh-settings.ts';
import type { Revocations } from '#model/revocations.ts';
import { parseCertificate } from '#pki/certificate.ts';
import { isRevoked, namesOf } from '#policy/authz/revoked-peers.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** Answers who is revoked, by what the model of the mesh knows, and notices when that changes. */
export class RevocationCheck {
  readonly #mesh: Mesh;
  readonly #serials = new WeakMap<Uint8Array, string>();
  #seen: Revocations;

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
    this.#seen = this.revocations;
  }

  /** What is revoked now. */
  get revocations(): Revocations {
    return this.#mesh.model.snapshot().revocations;
  }

  /** Whether that is something else than when this was asked last. */
  hasChanged(): boolean {
    const before = this.#seen;
    this.#seen = this.revocations;
    return before !== this.#seen;
  }

  /** An identity under every name of the mesh. */
  namesOf(identity: string): readonly SpiffeId[] {
    return namesOf(identity, meshTrustDomains(this.#mesh.settings));
  }

  /** Whether a peer is refused, by its certificate (serial in lower case hex) or by who it is. */
  covers(peer: { readonly serial?: string | undefined; readonly identity: SpiffeId }): boolean {
    return isRevoked(peer, this.revocations, this.#mesh.settings);
  }

  /** The same for one who may have shown a certificate, DER. */
  coversCertificate(der: Uint8Array | undefined, identity: SpiffeId): boolean {
    if (this.revocations.all.length === 0) return false;
    return this.covers({ identity, serial: der && this.#serialOf(der) });
  }

  /** Remembered, because every stream is asked about at each revocation. */
  #serialOf(der: Uint8Array): string {
    const known = this.#serials.get(der);
    if (known !== undefined) return known;
    const { serial } = parseCertificate(der);
    this.#serials.set(der, serial);
    return serial;
  }
}
