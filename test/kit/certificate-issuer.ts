import type { TestContext } from 'node:test';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { SqliteIssuanceJournal } from '#ca/journal/sqlite-issuance-journal.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { CALLER, openCsrService } from './csr-service.ts';

// A process that issues certificates into the journal at argv[2] until it is killed, and prints the
// serial of each once a caller would have it.

const journal = new SqliteIssuanceJournal(
  { path: process.argv[2] ?? '' },
  { clock: systemClock, log: silentLogger },
);
await journal.start();
const forEver: Pick<TestContext, 'after'> = { after: () => {} };
const record = journal.record.bind(journal);
const { ask } = await openCsrService(forEver, undefined, { record });
const csr = buildCsr(CALLER, generateKeyPair());
const caller = async (): Promise<void> => {
  for (;;) {
    const [leaf = ''] = await ask({ csr });
    process.stdout.write(`${parseCertificatesPem(leaf)[0]?.serial}\n`);
  }
};
await Promise.all(Array.from({ length: 8 }, caller));
