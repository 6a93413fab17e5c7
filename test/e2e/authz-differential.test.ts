// The answer that the evaluator gives on a laptop must be the proxy's: both read the same compiled
// form, and here the real Envoy says whether they read it alike.
import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { evaluate } from '#policy/authz/evaluate.ts';
import { type AuthzCase, authorizationOfCase, keptCases, shrunk } from '../kit/authz-cases.ts';
import { type EnvoyVerdict, startAuthzEnvoy } from '../kit/authz-envoy.ts';
import {
  type AuthzFuzz,
  authzFuzzes,
  casesOf,
  type FuzzCase,
  forEachAtOnce,
} from '../kit/authz-fuzz.ts';

/**
 * Chosen by the clock on purpose of finding new cases; a failure prints it, and it can be set
 * again.
 */
const SEED = Number(process.env.BULWARK_TEST_SEED ?? Date.now() & 0x7fffffff);

/** Each try starts an Envoy. */
const TRIES_MAX = 200;

/** Whether a case by itself is one that they decide differently. */
async function theyDiffer(one: AuthzCase): Promise<boolean> {
  const cleanUps: (() => unknown)[] = [];
  try {
    const after = { after: (cleanUp: () => unknown) => cleanUps.push(cleanUp) };
    const theirs = await decideByEnvoy(after as unknown as TestContext, [one]);
    const authorization = authorizationOfCase(one);
    return !isDeepStrictEqual(theirs, [evaluated({ authorization, ...one }, one)]);
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

/** What Envoy says to cases of one sort. */
async function decideByEnvoy(
  t: TestContext,
  cases: readonly AuthzCase[],
): Promise<readonly EnvoyVerdict[]> {
  const [{ profile, principals, largeFrom } = assert.fail('no case')] = cases;
  const authorizations = cases.map(authorizationOfCase);
  const envoy = await startAuthzEnvoy(t, authorizations, profile, principals, largeFrom);
  return Promise.all(cases.map(({ request }, index) => envoy.decide(index, request)));
}

const sortOf = ({ profile, principals, largeFrom }: AuthzCase): string =>
  `${profile}, principals of ${principals}, large from ${largeFrom ?? 'none'}`;

for (const [sort, cases] of Map.groupBy(keptCases(), sortOf)) {
  it(`kept cases are decided alike: ${sort}`, async (t) => {
    const theirs = await decideByEnvoy(t, cases);
    for (const [index, one] of cases.entries()) {
      const authorization = authorizationOfCase(one);
      assert.deepEqual(theirs[index], evaluated({ authorization, ...one }, one), one.what);
    }
  });
}

/** The evaluator's answer in the words of Envoy. */
function evaluated(
  { authorization, request }: Pick<FuzzCase, 'authorization' | 'request'>,
  { profile }: Pick<AuthzFuzz, 'profile'>,
): EnvoyVerdict {
  const answer = evaluate(authorization, request, profile);
  if (answer.decision === 'allow') return { verdict: 'allow' };
  if (answer.because === 'the request is malformed') return { verdict: 'malformed' };
  if (request.http === undefined) return { verdict: 'deny' };
  return { verdict: 'deny', rule: 'rule' in answer ? answer.rule.name : 'none' };
}

for (const fuzz of authzFuzzes(SEED)) {
  it(`evaluator and Envoy decide alike: ${fuzz.sort}, profile ${fuzz.profile}`, async (t) => {
    const { authorizations, profile, principals, largeFrom } = fuzz;
    const envoy = await startAuthzEnvoy(t, authorizations, profile, principals, largeFrom);
    const counts = { allow: 0, deny: 0, malformed: 0 };
    await forEachAtOnce(casesOf(fuzz), async (one) => {
      const ours = evaluated(one, fuzz);
      const theirs = await envoy.decide(one.index, one.request);
      counts[theirs.verdict] += 1;
      if (isDeepStrictEqual(theirs, ours)) return;
      const found = { what: 'say what it is', profile, principals, request: one.request };
      const large = Number.isFinite(largeFrom) ? { largeFrom } : {};
      const objects = fuzz.objects[one.index] ?? [];
      const smallest = await shrunk({ ...found, ...large, objects }, theyDiffer, TRIES_MAX);
      const what = { seed: SEED, ours, theirs, 'for test/kit/authz-cases.json': smallest };
      assert.fail(`they differ: ${JSON.stringify(what, null, 1)}`);
    });
    t.diagnostic(`seed ${SEED}: ${JSON.stringify(counts)}`);
    // A differential test that only ever sees one answer proves nothing.
    assert.ok(Math.min(...Object.values(counts)) > fuzz.requests.length / 200);
  });
}
