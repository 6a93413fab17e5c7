// The index finds the rule that trying one after the other finds: random policies and requests.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CompiledRule } from '#policy/authz/compiled-policy.ts';
import { matchedConditions } from '#policy/authz/evaluate.ts';
import { factsOf } from '#policy/authz/request.ts';
import { firstMatching } from '#policy/authz/rule-index.ts';
import { authorizationOf, authorizationPolicy } from '../../../test/kit/authorization-policy.ts';
import { policies, request } from '../../../test/kit/authz-arbitrary.ts';

const RUNS = 4000;
/** Rules that nothing meets: an index is for many rules only. */
const OTHERS = authorizationOf(
  [
    authorizationPolicy({
      rules: Array.from({ length: 20 }, (_, at) => ({
        to: [{ operation: { paths: [`/never/${at}`] } }],
      })),
    }),
  ],
  'strict',
).http.allow.enforced;

test('an index finds the first rule that a request meets', () => {
  const seen = { some: 0, none: 0 };
  fc.assert(
    fc.property(policies, request, fc.constantFrom('strict', 'istio'), (objects, one, profile) => {
      const hardening = profile === 'istio' ? 'istio' : 'strict';
      const authorization = authorizationOf(objects, hardening);
      for (const principals of ['peer', 'origin'] as const) {
        const facts = factsOf({ ...one, principals }, 'BASE', hardening);
        if (!facts) return;
        const { deny, allow } = one.http ? authorization.http : authorization.tcp;
        for (const { enforced: rules } of [deny, allow]) {
          if (!rules) continue;
          const expected: CompiledRule | undefined = rules.find((rule) =>
            matchedConditions(rule, facts),
          );
          assert.equal(firstMatching([...rules, ...(OTHERS ?? [])], facts), expected);
          seen[expected ? 'some' : 'none'] += 1;
        }
      }
    }),
    { numRuns: RUNS },
  );
  for (const count of Object.values(seen)) assert.ok(count > RUNS / 10, JSON.stringify(seen));
});
