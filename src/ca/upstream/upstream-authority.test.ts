// A server's authority that another one signs: the real certificate service above, a clock that
// tests set, and everything that can go wrong above.
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { BulwarkError, describeError, isBulwarkError } from '#base/errors.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { Secret } from '#base/secret.ts';
import type { SignerStanding } from '#ca/roots/mesh-roots.ts';
import { UpstreamAuthority } from '#ca/upstream/upstream-authority.ts';
import type { CertificateAuthority } from '#caclient/ca-client.ts';
import { parseCsrPem } from '#pki/csr.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { describeSigner } from '../../../test/contract/signer-contract.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { type ChainAuthority, makeAuthority } from '../../../test/kit/authority-chain.ts';
import { CALLER, openCsrService } from '../../../test/kit/csr-service.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { TEST_TRUST_DOMAIN } from '../../../test/kit/test-root.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const isFailed = (pattern: RegExp) => (error: unknown) => {
  assert.ok(isBulwarkError(error, 'CA_UPSTREAM_FAILED'), String(error));
  assert.match(describeError(error), pattern);
  return true;
};

interface Above {
  /** Thrown by the server above, while set. */
  failure: Error | undefined;
  /** Changes what it answers. */
  change: (chain: readonly string[]) => readonly string[];
  asked: string[];
}

/** The service above without the network between. */
async function openAbove(t: TestContext) {
  const service = await openCsrService(t, undefined, { authorities: [CALLER] });
  const above: Above = { failure: undefined, change: (chain) => chain, asked: [] };
  const client: CertificateAuthority = {
    sign: async ({ csr, authority = 'none', site = '' }, credential) => {
      above.asked.push(authority);
      assert.ok(credential instanceof Secret);
      if (above.failure) throw above.failure;
      const authorization = `Bearer ${credential.reveal()}`;
      const metadata = { BulwarkAuthority: authority, BulwarkSite: site };
      return above.change(await service.ask({ csr, metadata, authorization }));
    },
    close: () => {},
  };
  const path = join(temporaryDirectory(t), 'upstream.json');
  const lines: string[] = [];
  const learned: string[] = [];
  const open = (trustDomain = TEST_TRUST_DOMAIN) =>
    UpstreamAuthority.open(
      { path, trustDomain, address: 'above.example:15012' },
      {
        client,
        learnRoots: (pem) => learned.push(pem),
        credential: async () => new Secret('good'),
        clock: service.clock,
        random: systemRandom,
        log: createLogger({ level: 'debug', sink: { write: (line) => lines.push(line) } }),
        metrics: new Metrics(),
      },
    );
  return { ...service, above, path, lines, open, learned };
}

/** One that runs. */
async function startBelow(t: TestContext) {
  const opened = await openAbove(t);
  const authority = await opened.open();
  t.after(() => authority.close());
  let changes = 0;
  authority.onChange(async () => {
    changes += 1;
  });
  await authority.start();
  const looked = async (): Promise<void> => {
    const before = opened.above.asked.length;
    await waitUntil(
      () => opened.clock.advance(30_000) ?? opened.above.asked.length > before,
      'look',
    );
  };
  return { ...opened, authority, looked, changes: () => changes };
}

describeSigner('an authority that another server signs', {
  open: async (at, t) => {
    const validity = { notBeforeAt: at - HOUR_MS, notAfterAt: at + 48 * HOUR_MS };
    const root = makeAuthority(validity);
    const authority = await UpstreamAuthority.open(
      { path: join(temporaryDirectory(t), 'u.json'), trustDomain: TEST_TRUST_DOMAIN, address: '' },
      {
        client: { sign: async ({ csr }) => signBelow(root, csr, validity), close: () => {} },
        learnRoots: () => {},
        credential: async () => new Secret('x'),
        clock: new FakeClock(at),
        random: systemRandom,
        log: createLogger({ level: 'silent', sink: { write: () => {} } }),
        metrics: new Metrics(),
      },
    );
    return authority.signer;
  },
});

/** What a server above answers, without that server. */
async function signBelow(root: ChainAuthority, csr: string, validity: object) {
  const spki = Buffer.from(parseCsrPem(csr).publicKey.spki);
  const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const keys = { ...root.keys, publicKey };
  const changes = { ...validity, keys, pathLength: 0, trustDomains: ['cluster.local'] };
  return [makeAuthority(changes, root).pem, root.pem];
}

describe('an authority that another server signs', () => {
  it('has a key of its own, kept for its owner only, and the root above', async (t) => {
    const { open, path, issuer, lines } = await openAbove(t);
    const authority = await open();
    assert.equal(authority.signer.issuers.length, 2);
    assert.equal(authority.bundlePem, issuer.trustBundle);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const { privateKey } = JSON.parse(readFileSync(path, 'utf8'));
    assert.match(privateKey, /BEGIN PRIVATE KEY/);
    assert.ok(!lines.some((line) => line.includes('PRIVATE KEY')));
  });

  it('comes back after a restart while the server above is away', async (t) => {
    const { open, above } = await openAbove(t);
    const first = await open();
    above.failure = new BulwarkError('AGENT_CA_UNREACHABLE', 'no answer');
    const again = await open();
    assert.equal(again.signer.issuers[0].serial, first.signer.issuers[0].serial);
    assert.deepEqual(above.asked, ['intermediate']);
  });

  it('is renewed at half of its life with a new key, and everybody is told', async (t) => {
    const { authority, clock, looked, changes } = await startBelow(t);
    const [before] = authority.signer.issuers;
    await looked();
    assert.equal(authority.signer.issuers[0].serial, before.serial);
    clock.advance(4 * DAY_MS);
    await waitUntil(() => authority.signer.issuers[0].serial !== before.serial, 'renewal');
    assert.notDeepEqual(authority.signer.issuers[0].spki, before.spki);
    await waitUntil(() => changes() === 1, 'the change is told');
  });

  it('tells the server above what it stands on, those before it too', async (t) => {
    const { authority, clock, looked, heard, open } = await startBelow(t);
    const standings: SignerStanding[] = [];
    authority.reportWith((standing) => {
      standings.push(standing);
      return { trusted: ['x'], standsOn: [], missingCount: 0, missing: [] };
    });
    const [first] = authority.signer.issuers;
    clock.advance(4 * DAY_MS);
    await waitUntil(() => authority.signer.issuers[0].serial !== first.serial, 'renewal');
    await looked();
    await waitUntil(() => standings.length > 1, 'a report after it');
    assert.deepEqual(heard.at(-1)?.trusted, ['x']);
    const [root] = authority.roots.map(({ certificate }) => certificate.subjectKeyId);
    const { signerKeyId, rootAbove } = standings.at(-1) ?? assert.fail();
    assert.equal(signerKeyId, authority.signer.issuers[0].subjectKeyId);
    for (const known of [signerKeyId, first.subjectKeyId ?? ''])
      assert.equal(rootAbove(known), root);
    assert.equal(rootAbove('stranger'), undefined);
    const again = await open();
    t.after(() => again.close());
    const later = new Promise<SignerStanding>((resolve) => {
      again.reportWith((standing) => {
        resolve(standing);
        return { trusted: [], standsOn: [], missingCount: 0, missing: [] };
      });
    });
    await again.start();
    assert.equal((await later).rootAbove(first.subjectKeyId ?? ''), root, 'also after a restart');
  });

  it('is told to everybody, also when one of them fails', async (t) => {
    const { authority, clock, changes, lines, looked } = await startBelow(t);
    authority.onChange(() => Promise.reject(new Error('full disk')));
    let last = 0;
    authority.onChange(async () => {
      last += 1;
    });
    await looked();
    clock.advance(4 * DAY_MS);
    await waitUntil(
      () => lines.some((line) => line.includes('full disk')),
      'the failure is logged',
    );
    assert.deepEqual([changes(), last], [1, 1]);
  });

  it('goes on with what it has while the server above is away, and tries again', async (t) => {
    const { authority, clock, above, lines } = await startBelow(t);
    const [before] = authority.signer.issuers;
    above.failure = new BulwarkError('AGENT_CA_UNREACHABLE', 'no answer from above');
    clock.advance(4 * DAY_MS);
    await waitUntil(() => lines.some((line) => line.includes('did not help')), 'it is logged');
    assert.equal(authority.signer.issuers[0].serial, before.serial);
    above.failure = undefined;
    const isNew = () =>
      clock.advance(60_000) ?? authority.signer.issuers[0].serial !== before.serial;
    await waitUntil(isNew, 'renewal');
  });

  it('trusts a root that is added above, and moves below it once that signs', async (t) => {
    const { authority, above, looked, learned, changes } = await startBelow(t);
    const next = makeAuthority();
    const [before] = authority.signer.issuers;
    above.change = (chain) =>
      chain.map((pem, at) => (at === chain.length - 1 ? pem + next.pem : pem));
    await looked();
    await waitUntil(() => authority.roots.length === 2, 'the second root');
    assert.equal(authority.signer.issuers[0].serial, before.serial);
    assert.ok(learned.at(-1)?.includes(next.pem));
    assert.equal(changes(), 1);
    above.change = (chain) =>
      chain.map((pem, at) => (at === chain.length - 1 ? next.pem + pem : pem));
    const { asked } = above;
    const count = () => asked.filter((what) => what === 'intermediate').length;
    await looked();
    await waitUntil(() => count() === 2, 'another intermediate');
  });

  it('asks anew when what it kept does not read, is over, or is of another domain', async (t) => {
    const { open, path, above, clock } = await openAbove(t);
    await open();
    writeFileSync(path, '{"privateKey":');
    await open();
    assert.equal(above.asked.length, 2);
    clock.advance(8 * DAY_MS);
    await open();
    assert.equal(above.asked.length, 3);
    const grant = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ ...grant, roots: makeAuthority().pem }));
    await open();
    assert.equal(above.asked.length, 4);
  });

  it('is not opened when others may read its key', async (t) => {
    const { open, path } = await openAbove(t);
    await open();
    chmodSync(path, 0o644);
    await assert.rejects(open(), (error) => isBulwarkError(error, 'FILES_TOO_OPEN'));
  });
});

describe('without a certificate from above', () => {
  it('nothing begins, and the error says what to mend', async (t) => {
    const { open, above } = await openAbove(t);
    for (const [failure, text] of [
      [new BulwarkError('AGENT_CA_UNREACHABLE', 'no answer', { remedy: 'start it' }), /start it/],
      [new BulwarkError('CA_UNAUTHENTICATED', 'the proof'), /renew the token/],
      [new BulwarkError('GRPC_FAILED', 'refused: may not'), /intermediateAuthorities/],
    ] as const) {
      above.failure = failure;
      await assert.rejects(open(), isFailed(text));
    }
  });

  it('nothing begins when the answer is none of an authority', async (t) => {
    const { open, above } = await openAbove(t);
    const leaf = makeAuthority();
    above.change = ([, ...rest]) => [leaf.pem, ...rest];
    await assert.rejects(open(), isFailed(/private key and the certificate do not match/));
    above.change = (chain) => chain.slice(0, 1);
    await assert.rejects(open(), isFailed(/no roots/));
    above.change = () => ['', ''];
    await assert.rejects(open(), isFailed(/cannot be used/));
    above.change = (chain) => [chain[0] ?? '', makeAuthority().pem];
    await assert.rejects(open(), isFailed(/no root/));
    above.change = (chain) => chain;
    await assert.rejects(open(parseTrustDomain('other.example')), isFailed(/same trustDomain/));
  });
});
