import { randomBytes } from 'node:crypto';
import { buildCertificate, buildName, EMPTY_NAME, keyIdOf } from '#pki/build-certificate.ts';
import { buildCrl } from '#pki/build-crl.ts';
import {
  leafExtensions,
  namesExtension,
  rootExtensions,
  type TlsPurpose,
} from '#pki/extensions.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { encodePem } from '#pki/pem.ts';
import type { SubjectAltNames } from '#pki/subject-alt-name.ts';

/** A certificate with its key, PEM. */
export interface TestCertificate {
  readonly certificate: string;
  readonly privateKey: string;
}

/** A certificate authority that signs whatever a test wants. */
export interface TestAuthority {
  /** Its own certificate, PEM. */
  readonly root: string;
  /** A leaf for both sides of TLS, or for `purposes` only; valid for an hour. */
  issue(names: Partial<SubjectAltNames>, purposes?: readonly TlsPurpose[]): TestCertificate;
  /** A list of these revoked serials, PEM; valid for an hour unless said otherwise. */
  crl(
    serials: readonly string[],
    times?: { readonly thisUpdateAt?: number; readonly nextUpdateAt?: number },
  ): string;
}

const HOUR_MS = 3_600_000;

/** A new authority with a key of its own. */
export function testAuthority(commonName = 'test root'): TestAuthority {
  const keys = generateKeyPair();
  const now = Date.now();
  const validity = { notBeforeAt: now - HOUR_MS, notAfterAt: now + HOUR_MS };
  const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
  const issuer = {
    name: buildName({ organization: 'test', commonName }),
    privateKey: keys.privateKey,
  };
  const root = buildCertificate(
    {
      ...validity,
      serial: serial(),
      subject: issuer.name,
      spki,
      extensions: [rootExtensions(keyIdOf(spki))],
    },
    issuer,
  );
  return {
    root: encodePem('CERTIFICATE', root),
    crl: (serials, times) => {
      const revoked = serials.map(
        (one) => ({ serial: one, revokedAt: now, reason: 'keyCompromise' }) as const,
      );
      const valid = { thisUpdateAt: now - HOUR_MS, nextUpdateAt: now + HOUR_MS, ...times };
      const template = { number: 1, ...valid, revoked };
      return encodePem('X509 CRL', buildCrl(template, { ...issuer, keyId: keyIdOf(spki) }));
    },
    issue: (names, purposes = ['serverAuth', 'clientAuth']) => {
      const leafKeys = generateKeyPair();
      const leaf = buildCertificate(
        {
          ...validity,
          serial: serial(),
          subject: EMPTY_NAME,
          spki: leafKeys.publicKey.export({ type: 'spki', format: 'der' }),
          extensions: [leafExtensions(purposes, keyIdOf(spki)), namesExtension(names)],
        },
        issuer,
      );
      return {
        certificate: encodePem('CERTIFICATE', leaf),
        privateKey: leafKeys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      };
    },
  };
}

function serial(): string {
  return `1${randomBytes(16).toString('hex')}`;
}
