import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { ApiObject } from '#api/object.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import { evaluate } from '#policy/authz/evaluate.ts';
import type { AuthzRequest } from '#policy/authz/request.ts';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import { authorizationOf } from '../kit/authorization-policy.ts';
import { policies, request } from '../kit/authz-arbitrary.ts';
import { type EnvoyVerdict, startAuthzEnvoy } from '../kit/authz-envoy.ts';
import { ROLES_LABELS, roles } from '../kit/roles-arbitrary.ts';

// The answer that the evaluator gives on a laptop must be the proxy's: both read the same compiled
// form, and here the real Envoy says whether they read it alike.

const AUTHORIZATIONS = Number(process.env.BULWARK_TEST_AUTHORIZATIONS ?? 40);
const REQUESTS_EACH = 84;
/**
 * Chosen by the clock on purpose of finding new cases; a failure prints it, and it can be set
 * again.
 */
const SEED = Number(process.env.BULWARK_TEST_SEED ?? Date.now() & 0x7fffffff);
const CONNECTIONS_AT_ONCE = 8;

/** The evaluator's answer in the words of Envoy. */
function evaluated(
  authorization: WorkloadAuthorization,
  one: AuthzRequest,
  profile: HardeningProfile,
): EnvoyVerdict {
  const answer = evaluate(authorization, one, profile);
  if (answer.decision === 'allow') return { verdict: 'allow' };
  if (answer.because === 'the request is malformed') return { verdict: 'malformed' };
  if (one.http === undefined) return { verdict: 'deny' };
  return { verdict: 'deny', rule: 'rule' in answer ? answer.rule.name : 'none' };
}

/** What is compared: policies of the new API, of the old one, and both for one workload. */
const SORTS: Readonly<Record<string, fc.Arbitrary<readonly ApiObject[]>>> = {
  AuthorizationPolicy: policies,
  'roles and bindings': roles,
  both: fc.tuple(policies, roles).map((lists) => lists.flat()),
};

for (const profile of ['istio', 'strict'] as const) {
  for (const [sort, objectLists] of Object.entries(SORTS)) {
    it(`the evaluator and Envoy decide alike: ${sort}, profile ${profile}`, async (t) => {
      await compare(t, profile, objectLists);
    });
  }
}

async function compare(
  t: TestContext,
  profile: HardeningProfile,
  objectLists: fc.Arbitrary<readonly ApiObject[]>,
): Promise<void> {
  const samples = fc.sample(objectLists, { numRuns: AUTHORIZATIONS, seed: SEED });
  const authorizations = samples.map((objects) => authorizationOf(objects, profile, ROLES_LABELS));
  const envoy = await startAuthzEnvoy(t, authorizations, profile);
  const requests = fc.sample(request, { numRuns: AUTHORIZATIONS * REQUESTS_EACH, seed: SEED });
  const counts = { allow: 0, deny: 0, malformed: 0 };
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < requests.length; at = next++) {
      const index = at % AUTHORIZATIONS;
      const [one, authorization] = [requests[at], authorizations[index]];
      assert.ok(one !== undefined && authorization !== undefined);
      const ours = evaluated(authorization, one, profile);
      const theirs = await envoy.decide(index, one);
      counts[theirs.verdict] += 1;
      if (isDeepStrictEqual(theirs, ours)) continue;
      const what = { seed: SEED, objects: samples[index], request: one, ours, theirs };
      assert.fail(`they differ: ${JSON.stringify(what, null, 1)}`);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS_AT_ONCE }, work));
  t.diagnostic(`seed ${SEED}: ${JSON.stringify(counts)}`);
  // A differential test that only ever sees one answer proves nothing.
  assert.ok(Math.min(counts.allow, counts.deny, counts.malformed) > requests.length / 200);
}
