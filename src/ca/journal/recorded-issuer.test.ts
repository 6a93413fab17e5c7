// The control plane's own certificates are in the journal, too, before anybody has them.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { IssuanceRecord } from '#ca/journal/journal.ts';
import { RecordedIssuer } from '#ca/journal/recorded-issuer.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { CALLER, openCsrService } from '../../../test/kit/csr-service.ts';

const publicKey = () =>
  parsePublicKey(generateKeyPair().publicKey.export({ type: 'spki', format: 'der' }));

it('certificates that the control plane makes for itself are recorded', async (t) => {
  const { issuer, clock } = await openCsrService(t);
  const records: IssuanceRecord[] = [];
  const journal = { record: async (entry: IssuanceRecord) => void records.push(entry) };
  const recorded = new RecordedIssuer('account-secrets', { issuer, journal, clock });
  const request = { publicKey: publicKey(), ttlMs: 60_000 };
  const { certificate } = await recorded.issueForWorkload({ identity: CALLER, ...request });
  await recorded.issueForServer({ dnsNames: ['istiod'], ipAddresses: [], ...request });
  assert.deepEqual(
    records.map(({ identity, method, proof }) => [identity, method, proof]),
    [CALLER, 'istiod'].map((name) => [name, 'control-plane', 'account-secrets']),
  );
  assert.equal(records[0]?.serial, certificate.serial);
});

it('a certificate that cannot be recorded is not given out', async (t) => {
  const { issuer, clock } = await openCsrService(t);
  const journal = { record: () => Promise.reject(new Error('no space')) };
  const recorded = new RecordedIssuer('server', { issuer, journal, clock });
  const request = { identity: CALLER, publicKey: publicKey(), ttlMs: 60_000 };
  await assert.rejects(recorded.issueForWorkload(request), /no space/);
});

it('a revoked identity gets none, another does', async (t) => {
  const { issuer, clock } = await openCsrService(t);
  const journal = { record: async () => {} };
  let revoked: string = CALLER;
  const isRevoked = (identity: string): boolean => identity === revoked;
  const recorded = new RecordedIssuer('account-secrets', { issuer, journal, clock, isRevoked });
  const request = { identity: CALLER, publicKey: publicKey(), ttlMs: 60_000 };
  await assert.rejects(recorded.issueForWorkload(request), { code: 'CA_IDENTITY_REVOKED' });
  revoked = 'spiffe://cluster.local/ns/a/sa/other';
  assert.ok(await recorded.issueForWorkload(request));
});
