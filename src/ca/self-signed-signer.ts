import type { KeyObject } from 'node:crypto';
import { assert, present } from '#base/assert.ts';
import type { LeafTemplate, Signer } from '#ca/signer.ts';
import { buildCertificate, EMPTY_NAME } from '#pki/build-certificate.ts';
import { type Certificate, isCertificateOfKey } from '#pki/certificate.ts';
import { leafExtensions, namesExtension, type TlsPurpose } from '#pki/extensions.ts';
import { publicHalf } from '#pki/keys.ts';

/** A root certificate with its key, in memory. */
export interface RootKey {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

/** Signs leaves directly with the key of a root that signed itself. */
export class SelfSignedSigner implements Signer {
  readonly issuers: readonly [Certificate];
  readonly #privateKey: KeyObject;
  readonly #keyId: string;
  /** The extensions that leaves with the same list of purposes share, encoded once. */
  readonly #shared = new WeakMap<readonly TlsPurpose[], Uint8Array>();

  constructor({ certificate, privateKey }: RootKey) {
    assert(isCertificateOfKey(certificate, publicHalf(privateKey)), 'root and key do not match');
    this.issuers = [certificate];
    this.#privateKey = privateKey;
    this.#keyId = present(certificate.subjectKeyId, 'subject key id of the root');
  }

  async sign(template: LeafTemplate): Promise<Uint8Array> {
    const { serial, notBeforeAt, notAfterAt, names, purposes, publicKey } = template;
    const extensions = [namesExtension(names), this.#sharedExtensions(purposes)];
    return buildCertificate(
      { serial, notBeforeAt, notAfterAt, subject: EMPTY_NAME, spki: publicKey.spki, extensions },
      { name: this.issuers[0].subject, privateKey: this.#privateKey },
    );
  }

  #sharedExtensions(purposes: readonly TlsPurpose[]): Uint8Array {
    const known = this.#shared.get(purposes);
    if (known) return known;
    const encoded = leafExtensions(purposes, this.#keyId);
    this.#shared.set(purposes, encoded);
    return encoded;
  }
}
