import { isBulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { type IssuerList, issuerKey } from '#ca/lists/issuer-list.ts';
import type { RevocationReason } from '#pki/build-crl.ts';
import { type Certificate, parseCertificatesPem } from '#pki/certificate.ts';
import { type CertificateList, isListOf, parseCrlsPem } from '#pki/crl.ts';

/** The last list of an authority of another server, checked. */
export interface OtherList extends IssuerList {
  /** Grows with each list of the authority. */
  readonly number: bigint;
  /** Lower case hex. */
  readonly revokedSerials: readonly string[];
}

/** What another server revokes, for who cannot look at lists. */
export interface OtherRevocation {
  /** Of no object here: it has a colon. */
  readonly name: string;
  readonly uid: string;
  /** Lower case hex; undefined when an identity is revoked. */
  readonly serial: string | undefined;
  /** A SPIFFE id; undefined when a certificate is revoked. */
  readonly identity: string | undefined;
  /** Whom a revoked certificate was issued to, a SPIFFE id. */
  readonly issuedTo: string | undefined;
  readonly reason: RevocationReason;
  /** Wall-clock milliseconds. */
  readonly revokedAt: number;
  /** The server that said so. */
  readonly from: string;
}

/** A list that came with an authority, of one further up. */
export type UpperList = Pick<IssuerList, 'issuers' | 'pem'>;

/** What is known of the authorities of other servers below the same roots. */
export interface OtherNews {
  readonly lists: readonly OtherList[];
  /** Servers that may sign leaves and have no list: while there is one, none may go out. */
  readonly missing: readonly string[];
  /** Lists of authorities further up, which sign no leaves: PEM, '' for none. */
  readonly upperPem: string;
  /** The same array as long as nothing changed. */
  readonly revoked: readonly OtherRevocation[];
}

/** What this server says of itself to the others. */
export interface OwnLists {
  /** The last list of each of its authorities. */
  readonly lists: readonly IssuerList[];
  /** Whether that is one for each. */
  readonly isComplete: boolean;
  /** Lists of authorities above those, which came with them. */
  readonly upper: readonly UpperList[];
  readonly revoked: readonly (Omit<OtherRevocation, 'from'> & { readonly from?: string })[];
}

/** The exchange of lists with the servers below, or with the one above. */
export interface OtherAuthorities {
  news(): OtherNews;
  /** To be called whenever it may be something else than before. */
  publishOwn(own: OwnLists): void;
  /** Calls `listener` when `news` says something else. */
  onNews(listener: () => void): void;
  /** Where others have to know a list before its authority signs: resolves when they do, or not. */
  announce?(): Promise<void>;
  /** Sets what is waited for before a new authority of another server may sign. */
  whenTaken?(areTaken: () => Promise<unknown>): void;
}

/**
 * A list that ends so soon is left out, as given ones are: whoever does not hear of that in time
 * would refuse everybody.
 */
const MARGIN_MS = 24 * 3_600_000;

/** Whether a list may be given out still. */
export function isFresh({ nextUpdateAt }: IssuerList, at: number): boolean {
  return nextUpdateAt > at + MARGIN_MS;
}

/** One certificate revocation list that came as text, and all that has to be right about it. */
export interface ReceivedList {
  /** PEM, one list. */
  readonly pem: string;
  /** The authority that is to have signed it first, its root last. */
  readonly issuers: IssuerList['issuers'];
  /** Wall-clock milliseconds. */
  readonly at: number;
}

/** Reads a list; the reason when it cannot be one of that authority, or not now. */
export function readOtherList({ pem, issuers, at }: ReceivedList): OtherList | string {
  const list = oneList(pem);
  if (!list) return 'it is not one list';
  if (!isListOf(list, issuers[0])) return 'it is not signed by the authority of that name';
  const { number, thisUpdateAt, nextUpdateAt = Number.POSITIVE_INFINITY, revokedSerials } = list;
  if (number === undefined) return 'it has no number';
  if (revokedSerials.length > LIMITS.crlCertificatesMax) return 'it names too many certificates';
  if (thisUpdateAt > at) return 'it is from the future';
  if (nextUpdateAt <= at) return 'it has expired';
  return { issuers, pem, thisUpdateAt, nextUpdateAt, number, revokedSerials };
}

/** Whether the list of the authority above it names an authority: the first of these. */
export function isListed(
  [own, above]: readonly [Certificate, ...Certificate[]],
  lists: readonly OtherList[],
): boolean {
  const list = lists.find(({ issuers: [one] }) => above && issuerKey(one) === issuerKey(above));
  return list?.revokedSerials.includes(own.serial) ?? false;
}

/** The certificates of a chain, the authority first; undefined when the text is none. */
export function readChain(pem: string): readonly [Certificate, ...Certificate[]] | undefined {
  try {
    const [first, ...above] = parseCertificatesPem(pem);
    return first && [first, ...above];
  } catch (error) {
    if (isBulwarkError(error)) return undefined;
    throw error;
  }
}

/** The lists of a text, each as a text. */
export function splitLists(pem: string): readonly string[] {
  return pem.match(/-----BEGIN X509 CRL-----[^-]*-----END X509 CRL-----/g) ?? [];
}

/** The list that a text holds; undefined when it is none, or several. */
export function oneList(pem: string): CertificateList | undefined {
  try {
    const [list, ...more] = parseCrlsPem(pem);
    return more.length === 0 ? list : undefined;
  } catch (error) {
    if (isBulwarkError(error)) return undefined;
    throw error;
  }
}
