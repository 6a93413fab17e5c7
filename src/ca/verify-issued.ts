import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import type { LeafTemplate } from '#ca/signer.ts';
import { EMPTY_NAME } from '#pki/build-certificate.ts';
import { type Certificate, parseCertificate } from '#pki/certificate.ts';
import { LEAF_USAGE } from '#pki/extensions.ts';
import { OID } from '#pki/object-ids.ts';
import type { SubjectAltNames } from '#pki/subject-alt-name.ts';

/**
 * Reads a certificate back and checks that it says what the template says, all of it and nothing
 * else.
 * @throws BulwarkError CA_SIGN_FAILED that names the field
 */
export function verifyIssued(
  der: Uint8Array,
  template: LeafTemplate,
  issuer: Certificate,
): Certificate {
  const certificate = readBack(der);
  const failed = CHECKS.find(({ isRight }) => !isRight(certificate, template, issuer));
  if (failed) {
    throw new BulwarkError('CA_SIGN_FAILED', `the signed certificate has a wrong ${failed.field}`, {
      data: { serial: certificate.serial },
    });
  }
  return certificate;
}

function readBack(der: Uint8Array): Certificate {
  try {
    return parseCertificate(der);
  } catch (cause) {
    if (!isBulwarkError(cause)) throw cause;
    throw new BulwarkError('CA_SIGN_FAILED', 'the signed certificate does not read back', {
      cause,
    });
  }
}

interface Check {
  readonly field: string;
  isRight(made: Certificate, wanted: LeafTemplate, issuer: Certificate): boolean;
}

/** Every field of the profile. */
const CHECKS: readonly Check[] = [
  { field: 'basic constraint', isRight: (made) => !made.isCa && made.pathLength === undefined },
  { field: 'serial', isRight: (made, wanted) => made.serial === wanted.serial },
  { field: 'start', isRight: (made, wanted) => made.notBeforeAt === wanted.notBeforeAt },
  { field: 'end', isRight: (made, wanted) => made.notAfterAt === wanted.notAfterAt },
  {
    field: 'end: its issuer ends first',
    isRight: (made, _, by) => made.notAfterAt <= by.notAfterAt,
  },
  { field: 'issuer', isRight: (made, _, by) => isSame(made.issuer, by.subject) },
  { field: 'issuer key id', isRight: (made, _, by) => made.authorityKeyId === by.subjectKeyId },
  { field: 'subject', isRight: (made) => isSame(made.subject, EMPTY_NAME) },
  { field: 'public key', isRight: (made, wanted) => isSame(made.spki, wanted.publicKey.spki) },
  { field: 'set of names', isRight: (made, wanted) => namesAreSame(made.names, wanted.names) },
  { field: 'key usage', isRight: (made) => made.keyUsage === LEAF_USAGE },
  { field: 'extended key usage', isRight: (made, wanted) => purposesAreSame(made, wanted) },
  { field: 'extension that is unknown', isRight: (made) => made.unknownCritical.length === 0 },
];

function purposesAreSame({ extendedKeyUsage }: Certificate, { purposes }: LeafTemplate): boolean {
  return (
    extendedKeyUsage?.length === purposes.length &&
    purposes.every((purpose, index) => OID[purpose] === extendedKeyUsage[index])
  );
}

function namesAreSame(made: SubjectAltNames, wanted: SubjectAltNames): boolean {
  return (
    areSame(made.uris, wanted.uris) &&
    areSame(made.dnsNames, wanted.dnsNames) &&
    areSame(made.ipAddresses, wanted.ipAddresses) &&
    made.othersCount === wanted.othersCount
  );
}

function areSame(made: readonly string[], wanted: readonly string[]): boolean {
  return made.length === wanted.length && made.every((text, index) => text === wanted[index]);
}

function isSame(made: Uint8Array, wanted: Uint8Array): boolean {
  return Buffer.compare(made, wanted) === 0;
}
