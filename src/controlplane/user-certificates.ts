import { X509Certificate } from 'node:crypto';
import { ADMIN_PATHS, type UserCertificate } from '#admin/contract.ts';
import type { Caller } from '#apiserver/authorize.ts';
import type { ClientAuthority, ClientSubject } from '#apiserver/client-authority.ts';
import type { ActionOutcome, Actions } from '#apiserver/dispatch.ts';
import type { ClientChange } from '#apiserver/resource-context.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { decodePem } from '#pki/pem.ts';
import { importPublicKey, parsePublicKey } from '#pki/public-key.ts';

/** Upper bounds of RFC 5280 for a common name and an organization. */
const NAME_LENGTH_MAX = 64;
const GROUPS_MAX = 32;
const DAYS_MAX = 365;
/** Names of Kubernetes itself: nobody is to be one of its components, or above all roles. */
const RESERVED = 'system:';
/** Nothing that could break a line of a log, or look like another name. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u;

interface UserKey {
  readonly subject: ClientSubject;
  readonly spki: Uint8Array;
}

export interface UserCertificateDeps {
  readonly authority: ClientAuthority;
  readonly log: Logger;
  /** Told of each certificate, so that it is recorded who made it. */
  readonly onChange: (change: ClientChange) => void;
}

/** What administrators may ask for, by path. */
export function userActions(deps: UserCertificateDeps): Actions {
  return { [ADMIN_PATHS.users]: (body, caller) => userCertificate(body, caller, deps) };
}

/**
 * Signs a certificate by which a person uses the API server as `user`, a member of `groups`. A
 * certificate cannot be taken back, so it ends soon, and what its user may do is a matter of role
 * bindings, which can.
 */
async function userCertificate(
  body: unknown,
  caller: Caller,
  { authority, log, onChange }: UserCertificateDeps,
): Promise<ActionOutcome> {
  const asked = readRequest(body);
  if (typeof asked === 'string') return { code: 400, body: { message: asked } };
  const { subject, spki } = asked;
  const certificate = authority.certify(subject, spki);
  const { user, groups, validDays } = subject;
  log.info('signed a certificate of a user', { user, groups, validDays });
  const { serialNumber, validTo } = new X509Certificate(certificate);
  const after = {
    apiVersion: 'bulwark.mesh/v1alpha1',
    kind: 'UserCertificate',
    metadata: { name: user },
    spec: { groups, validDays },
    certificate: { serial: serialNumber.toLowerCase(), notAfter: validTo },
  };
  onChange({ caller, verb: 'create', after });
  return { code: 200, body: { certificate } satisfies UserCertificate };
}

/** What is asked for, or what is wrong with it. */
function readRequest(body: unknown): UserKey | string {
  const { user, groups, publicKey, validDays } = (body ?? {}) as Readonly<Record<string, unknown>>;
  if (!Array.isArray(groups) || groups.length > GROUPS_MAX) {
    return `groups must be a list of at most ${GROUPS_MAX} names`;
  }
  for (const name of [user, ...groups]) {
    const problem = nameProblem(name);
    if (problem) return problem;
  }
  if (!Number.isInteger(validDays) || Number(validDays) < 1 || Number(validDays) > DAYS_MAX) {
    return `validDays must be a whole number from 1 to ${DAYS_MAX}`;
  }
  const spki = readKey(publicKey);
  if (typeof spki === 'string') return spki;
  return { subject: { user: String(user), groups, validDays: Number(validDays) }, spki };
}

function nameProblem(name: unknown): string | undefined {
  const isName = typeof name === 'string' && name !== '' && name.length <= NAME_LENGTH_MAX;
  if (!isName || UNPRINTABLE.test(name) || name.trim() !== name) {
    return `a user or group must be a name of at most ${NAME_LENGTH_MAX} characters`;
  }
  return name.startsWith(RESERVED) ? `names that begin with ${RESERVED} are reserved` : undefined;
}

function readKey(pem: unknown): Uint8Array | string {
  try {
    const [spki, ...more] = decodePem(String(pem), ['PUBLIC KEY']);
    if (!spki || more.length > 0) return 'publicKey must be one public key, PEM';
    return importPublicKey(parsePublicKey(spki)).spki;
  } catch (error) {
    if (!isBulwarkError(error)) throw error;
    return `publicKey: ${error.message}`;
  }
}
