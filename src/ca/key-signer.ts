import { createPublicKey, type KeyObject } from 'node:crypto';
import { assert } from '#base/assert.ts';
import type { IntermediateTemplate, LeafTemplate, Signer } from '#ca/signer.ts';
import { buildAuthority } from '#pki/build-authority.ts';
import { buildCertificate, EMPTY_NAME } from '#pki/build-certificate.ts';
import { buildCrl, type CrlTemplate } from '#pki/build-crl.ts';
import { type Certificate, isCertificateOfKey } from '#pki/certificate.ts';
import { leafExtensions, namesExtension, type TlsPurpose } from '#pki/extensions.ts';
import { publicHalf } from '#pki/keys.ts';

/** The key of an authority, in memory, and the certificates above what it signs. */
export interface SigningKey {
  /** The certificate of the key first, its root last. */
  readonly issuers: readonly [Certificate, ...Certificate[]];
  /** P-256, P-384 or RSA. */
  readonly privateKey: KeyObject;
}

/** Signs leaves with a key in memory. */
export class KeySigner implements Signer {
  readonly issuers: readonly [Certificate, ...Certificate[]];
  readonly #privateKey: KeyObject;
  /** The extensions that leaves with the same list of purposes share, encoded once. */
  readonly #shared = new WeakMap<readonly TlsPurpose[], Uint8Array>();

  constructor({ issuers, privateKey }: SigningKey) {
    assert(isCertificateOfKey(issuers[0], publicHalf(privateKey)), 'key and certificate differ');
    this.issuers = issuers;
    this.#privateKey = privateKey;
  }

  async sign(template: LeafTemplate): Promise<Uint8Array> {
    const { serial, notBeforeAt, notAfterAt, names, purposes, publicKey } = template;
    const extensions = [namesExtension(names), this.#sharedExtensions(purposes)];
    return buildCertificate(
      { serial, notBeforeAt, notAfterAt, subject: EMPTY_NAME, spki: publicKey.spki, extensions },
      { name: this.issuers[0].subject, privateKey: this.#privateKey },
    );
  }

  async signCrl(template: CrlTemplate): Promise<Uint8Array> {
    const [{ subject: name, subjectKeyId: keyId }] = this.issuers;
    return buildCrl(template, { name, keyId, privateKey: this.#privateKey });
  }

  async signIntermediate(template: IntermediateTemplate): Promise<Uint8Array> {
    const { spki, ...rest } = template;
    const publicKey = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    return buildAuthority(
      { ...rest, publicKey, pathLength: 0 },
      { certificate: this.issuers[0], privateKey: this.#privateKey },
    );
  }

  #sharedExtensions(purposes: readonly TlsPurpose[]): Uint8Array {
    const known = this.#shared.get(purposes);
    if (known) return known;
    const encoded = leafExtensions(purposes, this.issuers[0].subjectKeyId);
    this.#shared.set(purposes, encoded);
    return encoded;
  }
}
