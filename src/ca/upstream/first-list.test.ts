// The first list of an authority below another server is there before the authority is.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { Secret } from '#base/secret.ts';
import { Intermediates } from '#ca/intermediates.ts';
import { KeySigner } from '#ca/key-signer.ts';
import { SiteLists } from '#ca/sites/site-lists.ts';
import { Sites } from '#ca/sites/sites.ts';
import { obtainGrant } from '#ca/upstream/upstream-grant.ts';
import { parseCrlsPem } from '#pki/crl.ts';
import { parseCsrPem } from '#pki/csr.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { crlOf, makeAuthority } from '../../../test/kit/authority-chain.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { TEST_TRUST_DOMAIN } from '../../../test/kit/test-root.ts';

const EDGE = parseSpiffeId('spiffe://cluster.local/ns/sites/sa/edge');
const DAY_MS = 86_400_000;

/** A server above, and one that asks it; `change` is what becomes of the lists on their way. */
async function setUp(t: TestContext, change = (lists: string): string => lists) {
  const clock = new FakeClock(Math.floor(Date.now() / 1000) * 1000);
  const lines: string[] = [];
  const log = createLogger({ level: 'info', sink: { write: (line) => lines.push(line) } });
  const directory = temporaryDirectory(t);
  const root = makeAuthority();
  const common = { clock, log, metrics: new Metrics(), random: systemRandom };
  const identities = new Set([EDGE]);
  const sites = await Sites.open(
    { path: join(directory, 'sites.json'), identities, ttlMs: DAY_MS },
    common,
  );
  const lists = await SiteLists.open({ directory: join(directory, 'lists') }, { ...common, sites });
  const { certificate, keys, pem } = root;
  const signer = new KeySigner({ issuers: [certificate], privateKey: keys.privateKey });
  const intermediates = new Intermediates(
    { identities, trustDomains: [TEST_TRUST_DOMAIN], ttlMs: DAY_MS },
    {
      ...common,
      ...{ sites, lists, signer: () => signer, roots: () => [certificate] },
      trustBundle: () => pem,
    },
  );
  const grant = () =>
    obtainGrant(
      { trustDomain: TEST_TRUST_DOMAIN, address: '' },
      {
        clock,
        credential: async () => new Secret('good'),
        client: {
          close: () => {},
          sign: async ({ csr, lists: offered = '' }) => {
            const { publicKey } = parseCsrPem(csr);
            const { signal } = new AbortController();
            const asked = { identity: EDGE, publicKey, lists: change(offered), signal };
            return (await intermediates.issue(asked)).chain;
          },
        },
      },
    );
  return { clock, lists, grant, lines };
}

it('an authority comes with its list, which is out when it leaves', async (t) => {
  const { clock, lists, grant } = await setUp(t);
  const taken = Promise.withResolvers<void>();
  lists.whenTaken(() => taken.promise);
  const asked = Promise.withResolvers<void>();
  lists.onNews(asked.resolve);
  let isThere = false;
  const granted = grant().then((one) => {
    isThere = true;
    return one;
  });
  await asked.promise;
  assert.equal(isThere, false, 'not before the workloads have taken the list');
  taken.resolve();
  const { set } = await granted;
  assert.deepEqual(lists.news().missing, []);
  const [list] = lists.news().lists;
  assert.deepEqual(list?.issuers[0].der, set.signer.issuers[0].der);
  assert.deepEqual(list.revokedSerials, []);
  const next = await set.signer.signCrl?.({
    number: clock.now(),
    ...{ thisUpdateAt: clock.now(), nextUpdateAt: clock.now() + DAY_MS, revoked: [] },
  });
  assert.ok(next && list.number < BigInt(clock.now()), 'its own lists are newer');
  const [first] = parseCrlsPem(list.pem);
  const lastMs = (first?.nextUpdateAt ?? 0) - clock.now();
  assert.ok(lastMs > 91 * DAY_MS, 'it outlives what the authority signs');
});

it('from a site that sends none the lists of all are held back, by name', async (t) => {
  const { lists, grant } = await setUp(t, () => '');
  await grant();
  assert.deepEqual(lists.news().missing, ['edge.sites']);
});

it('one of another key is not taken, and the site still gets its authority', async (t) => {
  const foreign = crlOf(makeAuthority(), []);
  const offer = { lists: [foreign], known: '', isWaiting: false, isArriving: true };
  const { lists, grant, lines } = await setUp(t, () => JSON.stringify(offer));
  await grant();
  assert.deepEqual(lists.news().missing, ['edge.sites']);
  assert.ok(lines.some((line) => line.includes('is not taken')));
});
