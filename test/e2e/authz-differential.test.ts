// The answer that the evaluator gives on a laptop must be the proxy's: both read the same compiled
// form, and here the real Envoy says whether they read it alike.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { evaluate } from '#policy/authz/evaluate.ts';
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

/** The evaluator's answer in the words of Envoy. */
function evaluated({ authorization, request }: FuzzCase, { profile }: AuthzFuzz): EnvoyVerdict {
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
      const objects = fuzz.objects[one.index];
      const what = { seed: SEED, objects, request: one.request, ours, theirs };
      assert.fail(`they differ: ${JSON.stringify(what, null, 1)}`);
    });
    t.diagnostic(`seed ${SEED}: ${JSON.stringify(counts)}`);
    // A differential test that only ever sees one answer proves nothing.
    assert.ok(Math.min(...Object.values(counts)) > fuzz.requests.length / 200);
  });
}
