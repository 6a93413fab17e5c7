import type { AttestationMethod } from '#ca/authenticator.ts';

/** What is kept of a certificate that was issued. */
export interface IssuanceRecord {
  /** Lower case hex. */
  readonly serial: string;
  /** A SPIFFE id; for a server of the control plane its first DNS name. */
  readonly identity: string;
  /** Wall-clock milliseconds. */
  readonly notBeforeAt: number;
  readonly notAfterAt: number;
  readonly issuedAt: number;
  /** Key id of the certificate that it was signed with, lower case hex; '' when it has none. */
  readonly issuerKeyId: string;
  readonly method: AttestationMethod;
  /** Which proof: the serial of a certificate, the id of a token. */
  readonly proof: string;
  /** The address that asked; '' for the control plane itself. */
  readonly caller: string;
  /**
   * Whether an agent asked, which comes back by itself after a restart of the server; undefined in
   * records from before this was kept.
   */
  readonly isAgent?: boolean;
}

/** Which records to list; all of them when nothing is said. */
export interface JournalQuery {
  readonly identity?: string;
  readonly serial?: string;
}

/** Every certificate that is not over yet, and how it came to be. */
export interface IssuanceJournal {
  /**
   * Keeps a record. To be awaited before the certificate leaves: once it resolves, the record
   * survives a crash and a power cut.
   * @throws BulwarkError CA_JOURNAL_FAILED
   */
  record(entry: IssuanceRecord): Promise<void>;
  /** Records, the latest first; at most LIMITS.journalListMax. */
  list(query?: JournalQuery): readonly IssuanceRecord[];
  /** All records, the latest first, one at a time: for who keeps little of each. */
  each(): Iterable<IssuanceRecord>;
}
