// Keys are there when they are wanted, and stay while their issuer is away.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { createLogger, silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { KeySets, type KeySource } from '#model/key-sets.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';
import { TokenIssuer } from '../../test/kit/token-issuer.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import type { FetchedKeys } from './fetch-keys.ts';
import { KeyFolder } from './key-folder.ts';
import { KeyResolver } from './key-resolver.ts';

const A: KeySource = 'keys https://a/keys';
const B: KeySource = 'issuer https://b';
const first = new TokenIssuer('https://a').keySet;
const second = new TokenIssuer('https://a').keySet;

type Answer = string | 'down' | Promise<FetchedKeys>;

function fixture(directory: string, save?: () => Promise<void>) {
  const folder = new KeyFolder(directory, { log: silentLogger });
  const clock = new FakeClock();
  const answers = new Map<KeySource, Answer>();
  const asked: KeySource[] = [];
  const metrics = new Metrics();
  const lines: string[] = [];
  let keySets = KeySets.none;
  let changes = 0;
  const fetch = async (source: KeySource): Promise<FetchedKeys> => {
    asked.push(source);
    const answer = answers.get(source) ?? 'down';
    if (typeof answer !== 'string') return answer;
    if (answer === 'down') throw new BulwarkError('JWKS_FETCH_FAILED', 'nobody is there');
    return { text: answer, count: 1, warnings: [] };
  };
  const resolver = new KeyResolver(
    { refreshMs: 60_000 },
    {
      fetch,
      folder: save ? Object.assign(folder, { save }) : folder,
      clock,
      random: systemRandom,
      log: createLogger({ level: 'debug', sink: { write: (line) => void lines.push(line) } }),
      metrics,
      onChange: (next) => {
        keySets = next;
        changes += 1;
      },
    },
  );
  const status = (source: KeySource) => resolver.statuses().find((one) => one.source === source);
  return {
    ...{ clock, answers, asked, resolver, status, metrics, lines },
    keys: (source: KeySource) => keySets.get(source),
    changes: () => changes,
    askedTimes: (source: KeySource, count: number) =>
      waitUntil(
        () => asked.filter((one) => one === source).length >= count && status(source)?.nextAt,
        `${source} was asked ${count} times`,
      ),
  };
}

describe('keys', () => {
  test('are fetched when they are wanted, and again before they are old', async (t) => {
    const { resolver, answers, keys, clock, askedTimes, changes, asked } = fixture(
      temporaryDirectory(t),
    );
    answers.set(A, first);
    await resolver.start();
    resolver.want([A]);
    assert.equal(resolver.isWaiting, true);
    await resolver.tried();
    assert.equal(resolver.isWaiting, false);
    assert.equal(keys(A), first);
    const before = changes();
    clock.advance(60_000);
    await askedTimes(A, 2);
    assert.equal(changes(), before, 'the same keys are no change');
    answers.set(A, second);
    clock.advance(60_000);
    await askedTimes(A, 3);
    assert.equal(keys(A), second);
    resolver.want([]);
    clock.advance(600_000);
    assert.equal(asked.length, 3, 'keys that nobody wants are not fetched');
    await resolver.close();
  });

  test('are asked for again within seconds after a failure, and then less often', async (t) => {
    const { resolver, answers, keys, clock, askedTimes, status } = fixture(temporaryDirectory(t));
    await resolver.start();
    resolver.want([A]);
    await resolver.tried();
    assert.equal(keys(A), undefined);
    assert.match(status(A)?.error ?? '', /nobody is there/);
    const delays: number[] = [];
    for (let times = 2; times < 9; times += 1) {
      const [delay = 0] = clock.waitingMs;
      delays.push(delay);
      clock.advance(delay);
      await askedTimes(A, times);
    }
    assert.ok((delays[0] ?? 0) <= 1000 && (delays[1] ?? 0) > (delays[0] ?? 0), delays.join());
    assert.ok(Math.max(...delays) <= 30_000, delays.join());
    answers.set(A, first);
    clock.advance(30_000);
    await askedTimes(A, 9);
    assert.equal(keys(A), first);
    assert.equal(status(A)?.error, undefined);
    await resolver.close();
  });

  test('stay while their issuer is away, also over a restart', async (t) => {
    const directory = temporaryDirectory(t);
    const before = fixture(directory);
    before.answers.set(A, first);
    await before.resolver.start();
    before.resolver.want([A, B]);
    await before.resolver.tried();
    before.answers.set(A, 'down');
    before.clock.advance(60_000);
    await before.askedTimes(A, 2);
    assert.equal(before.keys(A), first);
    assert.equal(before.status(A)?.count, 1);
    assert.match(before.status(A)?.error ?? '', /nobody/);
    const text = await before.metrics.text();
    assert.match(text, /^pilot_jwks_resolver_network_fetch_success_total 1$/m);
    assert.match(text, /^pilot_jwks_resolver_network_fetch_fail_total [2-9]/m);
    assert.match(text, /^bulwark_jwks_sources_without_keys 1$/m);
    assert.match(text, /^bulwark_jwks_sources_failing 2$/m);
    await before.resolver.close();

    const after = fixture(directory);
    await after.resolver.start();
    assert.equal(after.keys(A), first);
    after.resolver.want([A]);
    assert.equal(after.resolver.isWaiting, false);
    await after.resolver.tried();
    assert.equal(after.keys(A), first);
    await after.resolver.close();
  });

  test('are on disk when the server has ended', async (t) => {
    const saving = Promise.withResolvers<void>();
    const { resolver, answers } = fixture(temporaryDirectory(t), () => saving.promise);
    answers.set(A, first);
    await resolver.start();
    resolver.want([A]);
    await resolver.tried();
    let hasEnded = false;
    const ended = resolver.close().then(() => {
      hasEnded = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(hasEnded, false);
    saving.resolve();
    await ended;
  });

  test('are fetched now when somebody says so', async (t) => {
    const { resolver, answers, keys } = fixture(temporaryDirectory(t));
    answers.set(A, first);
    await resolver.start();
    resolver.want([A]);
    await resolver.tried();
    answers.set(A, second);
    await resolver.refresh();
    assert.equal(keys(A), second);
    await resolver.close();
  });

  test('are logged without what their URL may hide', async (t) => {
    const { resolver, answers, lines } = fixture(temporaryDirectory(t));
    const source: KeySource = 'keys https://a/keys?token=secret#secret';
    await resolver.start();
    resolver.want([source]);
    await resolver.tried();
    answers.set(source, first);
    await resolver.refresh();
    assert.equal(lines.filter((line) => line.includes('https://a/keys')).length, 2);
    assert.ok(!lines.some((line) => line.includes('secret')));
    await resolver.close();
  });

  test('of one issuer do not wait for another', async (t) => {
    const { resolver, answers, keys } = fixture(temporaryDirectory(t));
    answers.set(A, new Promise(() => {}));
    answers.set(B, second);
    await resolver.start();
    resolver.want([A, B]);
    await waitUntil(() => keys(B) === second, 'keys of the one that answers');
    assert.equal(keys(A), undefined);
    await resolver.close();
    await resolver.tried();
  });

  test('of too many issuers are not fetched, and nobody who was there loses his place', async (t) => {
    const { resolver, status } = fixture(temporaryDirectory(t));
    await resolver.start();
    const known: KeySource = 'keys https://z/keys';
    resolver.want([known]);
    const many = Array.from(
      { length: LIMITS.jwksSourcesMax },
      (_, i): KeySource => `keys http://${i}`,
    );
    resolver.want([...many, known]);
    assert.equal(resolver.statuses().length, LIMITS.jwksSourcesMax);
    assert.ok(status(known));
    await resolver.close();
  });
});
