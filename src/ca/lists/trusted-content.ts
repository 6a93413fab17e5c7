import type { PemText } from '#pki/pem.ts';

/** What peers are to be verified against: roots and lists that belong together. */
export interface TrustedContent {
  /** PEM, the active root first. */
  readonly rootsPem: PemText;
  /** PEM; '' for none. */
  readonly crlPem: string;
  /** Whether there are lists for the authorities above leaves only. */
  readonly isLeafOnly: boolean;
}

/** Whether peers would notice nothing. */
export function isSameContent(one: TrustedContent, other: TrustedContent): boolean {
  return (
    one.rootsPem === other.rootsPem &&
    one.crlPem === other.crlPem &&
    one.isLeafOnly === other.isLeafOnly
  );
}
