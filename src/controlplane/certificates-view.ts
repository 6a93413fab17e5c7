import type { CertificatesView } from '#admin/contract.ts';
import type { IssuanceRecord } from '#ca/journal/journal.ts';

/** The certificates of the journal as administrators see them. */
export function certificatesView(records: readonly IssuanceRecord[]): CertificatesView {
  const certificates = records.map((record) => {
    const { serial, identity, issuerKeyId, method, proof, caller } = record;
    return {
      serial,
      identity,
      notBefore: instant(record.notBeforeAt),
      notAfter: instant(record.notAfterAt),
      issuedAt: instant(record.issuedAt),
      issuerKeyId,
      method,
      proof,
      caller,
    };
  });
  return { certificates };
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString();
}
