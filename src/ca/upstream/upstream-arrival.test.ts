// When an authority of a server below another one is replaced: peers know the next one before it
// signs, and one that is revoked goes at once.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { Secret } from '#base/secret.ts';
import { readOtherList } from '#ca/lists/other-lists.ts';
import type { Signer } from '#ca/signer.ts';
import { UpstreamAuthority } from '#ca/upstream/upstream-authority.ts';
import { crlOf, makeAuthority } from '../../../test/kit/authority-chain.ts';
import { CALLER, openCsrService } from '../../../test/kit/csr-service.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { TEST_TRUST_DOMAIN } from '../../../test/kit/test-root.ts';
import { waitUntil } from '../../../test/kit/wait-until.ts';

const DAY_MS = 86_400_000;

async function startBelow(t: TestContext) {
  const service = await openCsrService(t, undefined, { authorities: [CALLER] });
  let asked = 0;
  const sign: Parameters<typeof UpstreamAuthority.open>[1]['client']['sign'] = async (request) => {
    if (request.authority === 'intermediate') asked += 1;
    const metadata = { BulwarkAuthority: request.authority ?? '' };
    return service.ask({ csr: request.csr, metadata, authorization: 'Bearer good' });
  };
  const authority = await UpstreamAuthority.open(
    { path: join(temporaryDirectory(t), 'u.json'), trustDomain: TEST_TRUST_DOMAIN, address: '' },
    {
      client: { sign, close: () => {} },
      learnRoots: () => {},
      credential: async () => new Secret('good'),
      clock: service.clock,
      random: systemRandom,
      log: silentLogger,
      metrics: new Metrics(),
    },
  );
  t.after(() => authority.close());
  await authority.start();
  return { authority, clock: service.clock, asked: () => asked };
}

/** A list that names these serials, as if an authority of that name and key had signed it. */
function listNaming({ issuers: [, above] }: Signer, serials: readonly string[]) {
  assert.ok(above);
  const other = makeAuthority();
  const pem = crlOf(other, serials);
  const list = readOtherList({ pem, issuers: [other.certificate], at: Date.now() });
  assert.ok(typeof list !== 'string');
  return { ...list, issuers: [above] as const };
}

it('a new authority signs after everybody was told of it, and goes on when that fails', async (t) => {
  const { authority, clock } = await startBelow(t);
  const before = authority.signer;
  const told = Promise.withResolvers<Signer>();
  const known = Promise.withResolvers<void>();
  authority.onArrival(async (signer) => {
    told.resolve(signer);
    await known.promise;
    throw new Error('somebody did not answer');
  });
  clock.advance(5 * DAY_MS);
  const next = await told.promise;
  assert.notEqual(next.issuers[0].serial, before.issuers[0].serial);
  assert.equal(authority.signer, before, 'the one before signs until then');
  known.resolve();
  await waitUntil(() => authority.signer === next, 'the next one signs');
});

it('an authority that is revoked is replaced at once, and only that one', async (t) => {
  const { authority, asked } = await startBelow(t);
  const { signer } = authority;
  authority.lookAt([listNaming(signer, ['ab'])]);
  const stranger = listNaming(signer, [signer.issuers[0].serial]);
  authority.lookAt([{ ...stranger, issuers: [makeAuthority().certificate] }]);
  assert.equal(asked(), 1, 'nothing happens for others, or by the word of others');
  authority.lookAt([stranger]);
  await waitUntil(() => authority.signer !== signer, 'another one signs');
  assert.equal(asked(), 2);
});
