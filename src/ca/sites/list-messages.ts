import { REVOCATION_REASONS } from '#api/kinds/certificate-revocation.ts';
import { isBulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import {
  type OtherList,
  type OtherRevocation,
  oneList,
  readChain,
  readOtherList,
} from '#ca/lists/other-lists.ts';
import type { Certificate } from '#pki/certificate.ts';
import { verifySignature } from '#pki/chain.ts';
import { isListOf } from '#pki/crl.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';

/** What a server below sends of its lists, and what it has heard already. */
export interface ListOffer {
  /** The lists of its authorities, PEM. */
  readonly lists: readonly string[];
  /** `digest` of the last answer; '' for none. */
  readonly known: string;
  /** Whether the answer may wait until there is something new. */
  readonly isWaiting: boolean;
  /** Whether an authority is among them that signs once the answer is there. */
  readonly isArriving: boolean;
}

/** What the server above answers; '' in its place when nothing is new. */
export interface ListAnswer {
  readonly digest: string;
  /** From each authority to its root, PEM, and its list. */
  readonly lists: readonly { readonly chain: string; readonly pem: string }[];
  readonly isComplete: boolean;
  /** Whose lists are not among them, for people; left out by older servers. */
  readonly missing?: readonly string[];
  /** The same of authorities further up, as far as there are some; left out by older servers. */
  readonly upper?: ListAnswer['lists'];
  readonly revoked: readonly Omit<OtherRevocation, 'from' | 'uid'>[];
}

const OFFER_LISTS_MAX = 32;
const ANSWER_LISTS_MAX = 1000;
/** Levels of authorities above a server, with some that are replaced. */
const UPPER_LISTS_MAX = 32;
/** Characters of one list: 3000 certificates are some 190,000. */
const LIST_LENGTH_MAX = 512 * 1024;
const CHAIN_LENGTH_MAX = 64 * 1024;
const NAME_LENGTH_MAX = 512;

/** The offer as it is sent: JSON. */
export function encodeListOffer(offer: ListOffer): string {
  return JSON.stringify(offer);
}

/** Reads an offer; undefined when it is none. */
export function readListOffer(text: string): ListOffer | undefined {
  const { lists, known, isWaiting, isArriving } = parsed(text) as Partial<ListOffer>;
  const isWhole =
    areTexts(lists, { most: OFFER_LISTS_MAX, length: LIST_LENGTH_MAX }) &&
    isText(known, NAME_LENGTH_MAX);
  if (!isWhole || !lists || known === undefined) return undefined;
  return { lists, known, isWaiting: isWaiting === true, isArriving: isArriving === true };
}

/** Reads an answer, of which the lists are not checked yet; undefined when it is none. */
export function readListAnswer(text: string): ListAnswer | undefined {
  const answer = parsed(text) as Partial<ListAnswer>;
  const { digest, lists, isComplete, missing, upper = [], revoked } = answer;
  if (!isText(digest, NAME_LENGTH_MAX) || digest === undefined) return undefined;
  if (!lists || !areLists(lists, ANSWER_LISTS_MAX) || !areLists(upper, UPPER_LISTS_MAX))
    return undefined;
  if (!Array.isArray(revoked) || revoked.length > REVOKED_MAX) return undefined;
  if (!revoked.every(isRevocation)) return undefined;
  const names = { most: ANSWER_LISTS_MAX, length: NAME_LENGTH_MAX };
  const told = missing && areTexts(missing, names) ? { missing } : {};
  return { digest, lists, isComplete: isComplete === true, ...told, upper, revoked };
}

function areLists(lists: unknown, most: number): boolean {
  if (!Array.isArray(lists) || lists.length > most) return false;
  return lists.every(
    (one) => isText(one?.chain, CHAIN_LENGTH_MAX) && isText(one?.pem, LIST_LENGTH_MAX),
  );
}

const REVOKED_MAX = 2 * LIMITS.revocationsMax;

function isRevocation(value: unknown): boolean {
  const one = (value ?? {}) as Partial<ListAnswer['revoked'][number]>;
  const isSerial = one.serial === undefined || /^[0-9a-f]{1,40}$/.test(String(one.serial));
  return (
    isSerial &&
    isText(one.name, NAME_LENGTH_MAX) &&
    [one.identity, one.issuedTo].every((name) => name === undefined || isIdentity(name)) &&
    Number.isFinite(one.revokedAt) &&
    REVOCATION_REASONS.some((reason) => reason === one.reason)
  );
}

function isIdentity(text: unknown): boolean {
  try {
    return parseSpiffeId(String(text)) === text;
  } catch (error) {
    if (isBulwarkError(error)) return false;
    throw error;
  }
}

/**
 * Checks the lists of an answer: each is of the authority at the head of its chain, which stands on
 * one of these roots. An authority that does not is left out: nobody here takes what it signs.
 * @returns the lists that are good, and why others of such authorities are not
 */
export function checkedLists(
  { lists }: ListAnswer,
  { roots, at }: { readonly roots: readonly Certificate[]; readonly at: number },
): { readonly good: readonly OtherList[]; readonly problems: readonly string[] } {
  const read = lists.flatMap(({ chain, pem }) => {
    const issuers = readChain(chain);
    return issuers && standsOn(issuers, roots) ? [readOtherList({ pem, issuers, at })] : [];
  });
  return {
    good: read.filter((one) => typeof one !== 'string'),
    problems: read.filter((one) => typeof one === 'string'),
  };
}

/**
 * The lists of authorities further up that are good now, PEM. Nobody needs them: one that is not is
 * left out.
 */
export function checkedUpperLists(
  { upper = [] }: ListAnswer,
  { roots, at }: { readonly roots: readonly Certificate[]; readonly at: number },
): string {
  const good = upper.filter(({ chain, pem }) => {
    const issuers = readChain(chain);
    const list = oneList(pem);
    if (!issuers || !list || !standsOn(issuers, roots)) return false;
    return isListOf(list, issuers[0]) && list.thisUpdateAt <= at;
  });
  return good.map(({ pem }) => `${pem.trim()}\n`).join('');
}

function standsOn(chain: readonly Certificate[], roots: readonly Certificate[]): boolean {
  const root = chain.at(-1);
  if (!roots.some((one) => root && Buffer.compare(one.der, root.der) === 0)) return false;
  return chain.every((one, index) => one.isCa && isSigned(one, chain[index + 1]));
}

function isSigned(below: Certificate, above: Certificate | undefined): boolean {
  if (!above) return true;
  try {
    verifySignature(below, above);
    return Buffer.compare(below.issuer, above.subject) === 0;
  } catch (error) {
    if (isBulwarkError(error)) return false;
    throw error;
  }
}

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

function isText(value: unknown, length: number): boolean {
  return typeof value === 'string' && value.length <= length;
}

function areTexts(value: unknown, limits: { readonly most: number; readonly length: number }) {
  if (!Array.isArray(value) || value.length > limits.most) return false;
  return value.every((one) => isText(one, limits.length));
}
