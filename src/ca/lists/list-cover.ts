import { type IssuerList, issuerKey } from '#ca/lists/issuer-list.ts';
import { splitLists, type UpperList } from '#ca/lists/other-lists.ts';
import type { Signer } from '#ca/signer.ts';
import type { Certificate } from '#pki/certificate.ts';
import { type CertificateList, isListOf, parseCrlsPem } from '#pki/crl.ts';

/** What there is to make a set of lists of. */
export interface CoverInput {
  /** From every authority that may have signed a leaf that is alive to its root. */
  readonly paths: readonly Signer['issuers'][];
  /** The last lists of these authorities, by `issuerKey`. */
  readonly own: ReadonlyMap<string, IssuerList>;
  /** Lists that came with the authority. */
  readonly given: readonly GivenList[];
  /** Wall-clock milliseconds. */
  readonly at: number;
}

/** A list that others signed. */
export interface GivenList extends CertificateList {
  readonly pem: string;
}

/** The lists that peers are to have, together with the roots. */
export interface ListCover {
  /** PEM. */
  readonly pem: string;
  /** Whether there is one for the authority above leaves only, not for those above it. */
  readonly isLeafOnly: boolean;
  /** When the first of them would end handshakes, wall-clock milliseconds. */
  readonly nextUpdateAt: number;
  /** Authorities above leaves that have none. While there is one, no list may be published. */
  readonly missing: readonly Certificate[];
}

/**
 * A given list is left out so long before it is over: whoever does not hear of that in time would
 * refuse everybody.
 */
const GIVEN_MARGIN_MS = 24 * 3_600_000;

/** Reads lists that came as PEM; '' = none. */
export function readGivenLists(pem: string): readonly GivenList[] {
  if (pem === '') return [];
  return splitLists(pem).flatMap((block) =>
    parseCrlsPem(block).map((list) => ({ ...list, pem: block })),
  );
}

/**
 * A given list with the authority that signed it and those above that.
 * @param paths each from the authority above a server's own to its root
 */
export function upperList(
  list: GivenList,
  paths: readonly (readonly Certificate[])[],
): UpperList | undefined {
  const path = paths.find((above) => above.some((one) => isListOf(list, one))) ?? [];
  const [issuer, ...more] = path.slice(path.findIndex((one) => isListOf(list, one)));
  return issuer && { issuers: [issuer, ...more], pem: list.pem };
}

/**
 * Puts together a list for each authority that a peer will look for. Envoy looks for that of the
 * authority above each leaf, and for those further up only when it is told to; one that is missing
 * ends the handshake. So the further ones go out when they are complete, and not otherwise.
 */
export function coverWithLists({ paths, own, given, at }: CoverInput): ListCover {
  const isFresh = ({ nextUpdateAt = Number.POSITIVE_INFINITY }: GivenList): boolean =>
    nextUpdateAt > at + GIVEN_MARGIN_MS;
  const fresh = given.filter(isFresh);
  const listOf = (one: Certificate): Found | undefined => {
    const list = own.get(issuerKey(one)) ?? fresh.find((each) => isListOf(each, one));
    return list && { pem: list.pem.trim(), nextUpdateAt: list.nextUpdateAt };
  };
  const leafIssuers = paths.map(([issuer]) => issuer);
  const missing = leafIssuers.filter((issuer) => listOf(issuer) === undefined);
  const isLeafOnly = !paths.flat().every((one) => listOf(one) !== undefined);
  const found = (isLeafOnly ? leafIssuers : paths.flat()).flatMap((one) => listOf(one) ?? []);
  const unique = new Map(found.map((list) => [list.pem, list]));
  const ends = found.map(({ nextUpdateAt = Number.POSITIVE_INFINITY }) => nextUpdateAt);
  return {
    pem: [...unique.keys()].map((pem) => `${pem}\n`).join(''),
    isLeafOnly,
    nextUpdateAt: Math.min(...ends),
    missing,
  };
}

interface Found {
  readonly pem: string;
  readonly nextUpdateAt: number | undefined;
}
