import type { KeyObject } from 'node:crypto';
import { KeySigner } from '#ca/key-signer.ts';
import type { Certificate } from '#pki/certificate.ts';

/** A root certificate with its key, in memory. */
export interface RootKey {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

/** Signs leaves directly with the key of a root that signed itself. */
export class SelfSignedSigner extends KeySigner {
  constructor({ certificate, privateKey }: RootKey) {
    super({ issuers: [certificate], privateKey });
  }
}
