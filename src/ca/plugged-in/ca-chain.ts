import { isBulwarkError } from '#base/errors.ts';
import { CA_FILE } from '#ca/plugged-in/ca-files.ts';
import { caProblem, subjectOf } from '#ca/plugged-in/ca-problem.ts';
import { EMPTY_NAME } from '#pki/build-certificate.ts';
import type { Certificate } from '#pki/certificate.ts';
import { verifySignature } from '#pki/chain.ts';
import { KEY_USAGE } from '#pki/extensions.ts';
import { nameConstraintProblem } from '#pki/name-constraints.ts';
import { OID } from '#pki/object-ids.ts';
import { NO_NAMES } from '#pki/subject-alt-name.ts';

/** The certificates of the files, read. */
export interface CaCertificates {
  readonly certificate: Certificate;
  /** As in its file; empty when there is none. */
  readonly chain: readonly Certificate[];
  readonly roots: readonly Certificate[];
}

/**
 * The way from the certificate that signs to its root: what the chain file says, in its order,
 * without roots, and the root that signed the last of it.
 * @throws BulwarkError CA_FILES_INVALID that tells which certificate is wrong, and why
 */
export function issuersOf(found: CaCertificates): readonly [Certificate, ...Certificate[]] {
  const { certificate, roots } = found;
  if (roots.some((root) => isSame(root, certificate))) return [certificate];
  const between = intermediatesOf(found);
  const path: [Certificate, ...Certificate[]] = [certificate, ...between];
  for (const [index, issuer] of between.entries()) {
    const below = path[index] ?? certificate;
    if (!isNamed(issuer, below)) throw outOfOrder(below, between);
    verifyLink(below, issuer);
  }
  const last = path.at(-1) ?? certificate;
  const candidates = roots.filter((root) => isNamed(root, last));
  if (candidates.length === 0) {
    throw caProblem(
      `failed to verify certificate: no root in ${CA_FILE.root} has signed ${subjectOf(last)}`,
      `put the root that signed it into ${CA_FILE.root}, or the certificates between them into ` +
        CA_FILE.chain,
    );
  }
  return [...path, candidates.find((root) => signs(root, last)) ?? failedLink(last)];
}

/** The chain after the certificate itself, up to and without the roots. */
function intermediatesOf({ certificate, chain, roots }: CaCertificates): readonly Certificate[] {
  const at = chain.findIndex((one) => isSame(one, certificate));
  if (at > 0) throw outOfOrder(certificate, chain);
  const rest = at === 0 ? chain.slice(1) : chain;
  const last = rest.at(-1);
  if (!last || !isNamed(last, last)) return rest;
  if (roots.some((root) => isSame(root, last))) return rest.slice(0, -1);
  throw caProblem(
    `failed to verify certificate: the root ${subjectOf(last)} at the end of ${CA_FILE.chain} ` +
      `is not in ${CA_FILE.root}`,
    `use one set: add that root to ${CA_FILE.root} if it is to be trusted`,
  );
}

function outOfOrder(below: Certificate, chain: readonly Certificate[]): Error {
  const isThere = chain.some((one) => isNamed(one, below) || isSame(one, below));
  return isThere
    ? caProblem(
        `failed to verify certificate: ${CA_FILE.chain} is in the wrong order`,
        `begin with the certificate of ${CA_FILE.certificate}, then each time the one that signed ` +
          'the one before',
      )
    : caProblem(
        `failed to verify certificate: ${CA_FILE.chain} has no certificate of the authority that ` +
          `signed ${subjectOf(below)}`,
        `put every certificate between ${CA_FILE.certificate} and the root into ${CA_FILE.chain}`,
      );
}

function verifyLink(below: Certificate, issuer: Certificate): void {
  if (!signs(issuer, below)) failedLink(below);
}

function failedLink(below: Certificate): never {
  throw caProblem(
    `failed to verify certificate: the signature on ${subjectOf(below)} is not by the ` +
      'authority of that name which is given',
    'take the certificate of the very key that signed it',
  );
}

function signs(issuer: Certificate, below: Certificate): boolean {
  try {
    verifySignature(below, issuer);
    return true;
  } catch (error) {
    if (isBulwarkError(error)) return false;
    throw error;
  }
}

/**
 * Checks that each authority of a path may do what it is to do.
 * @param identity an id of the mesh, which all of them must permit
 * @throws BulwarkError CA_FILES_INVALID
 */
export function checkAuthorities(
  path: readonly Certificate[],
  { at, identity }: { readonly at: number; readonly identity: string },
): void {
  for (const [below, certificate] of path.entries()) {
    const problem = problemOf(certificate, { below, at, identity });
    if (!problem) continue;
    const [what, remedy] = problem;
    const message = `failed to verify certificate: ${subjectOf(certificate)} ${what}`;
    throw caProblem(message, remedy);
  }
}

interface Wanted {
  /** Authorities between it and the workloads. */
  readonly below: number;
  readonly at: number;
  readonly identity: string;
}

function problemOf(
  one: Certificate,
  { below, at, identity }: Wanted,
): readonly [what: string, remedy: string] | undefined {
  const day = (time: number): string => new Date(time).toISOString();
  if (at > one.notAfterAt) return [`expired at ${day(one.notAfterAt)}`, 'renew it'];
  if (at < one.notBeforeAt)
    return [`is not valid before ${day(one.notBeforeAt)}`, 'wait, or set the clock right'];
  if (!one.isCa) return ['is not a CA', 'have it signed with basicConstraints CA:TRUE'];
  if (one.keyUsage !== undefined && !(one.keyUsage & KEY_USAGE.keyCertSign))
    return ['may not sign certificates', 'have it signed with the key usage keyCertSign'];
  if (one.pathLength !== undefined && one.pathLength < below) {
    const what = `allows ${one.pathLength} authorities below it, and there are ${below}`;
    return [what, 'have it signed with a larger path length, or use fewer levels'];
  }
  if (one.extendedKeyUsage && !PURPOSES.every((each) => one.extendedKeyUsage?.includes(each)))
    return ['may not be used for both sides of TLS', 'have it signed without extended key usage'];
  const [unknown] = one.unknownCritical;
  if (unknown)
    return [`has the unknown critical extension ${unknown}`, 'have it signed without that'];
  const names = { ...NO_NAMES, uris: [identity], dnsNames: [SERVER_NAME] };
  const refused =
    one.nameConstraints &&
    nameConstraintProblem(one.nameConstraints, { names, subject: EMPTY_NAME });
  return refused
    ? [`cannot sign for this mesh: ${refused}`, 'use an authority that may sign what is named']
    : undefined;
}

/** The name that agents expect in the certificate of the control plane. */
const SERVER_NAME = 'istiod.istio-system.svc';
const PURPOSES = [OID.serverAuth, OID.clientAuth];

function isSame(one: Certificate, other: Certificate): boolean {
  return Buffer.compare(one.der, other.der) === 0;
}

/** Whether one has the name of the issuer of the other. */
function isNamed(issuer: Certificate, below: Certificate): boolean {
  return Buffer.compare(issuer.subject, below.issuer) === 0;
}
