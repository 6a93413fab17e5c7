// The comparison of evaluator and Envoy is worth something only if it finds errors: each of these,
// planted in the evaluator, must make a difference to answers of the real Envoy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import { evaluate } from '#policy/authz/evaluate.ts';
import { authorizationOfCase, keptCases } from '../kit/authz-cases.ts';
import { startAuthzEnvoy } from '../kit/authz-envoy.ts';
import { type AuthzFuzz, authzFuzzes, casesOf, type FuzzCase } from '../kit/authz-fuzz.ts';
import { importMutant, type Mutant } from '../kit/mutants.ts';

/** Fixed: which errors are found must not depend on luck. */
const SEED = 20_261_122;
const ENTRY = '#policy/authz/evaluate.ts';

const mutant = (file: string, what: string, text: string, becomes: string): Mutant => ({
  what,
  module: `#policy/authz/${file}`,
  text,
  becomes,
});

const MUTANTS: readonly Mutant[] = [
  mutant(
    'rule-index.ts',
    'one half of a rule is enough',
    'operations.some(holds) && sources',
    'operations.some(holds) || sources',
  ),
  mutant('evaluate.ts', 'DENY rules are not looked at', 'denying !== undefined', 'false'),
  mutant(
    'evaluate.ts',
    'ALLOW without a match allows',
    "decision: 'deny',\n    because: 'no ALLOW",
    "decision: 'allow',\n    because: 'no ALLOW",
  ),
  mutant(
    'rule-index.ts',
    'one condition of a clause is enough',
    'clause.every((condition) => conditionHolds(condition, facts));',
    'clause.some((condition) => conditionHolds(condition, facts));',
  ),
  mutant('condition-test.ts', 'not-values do not count', '!notValues.some(matches)', 'true'),
  mutant('condition-test.ts', 'no values match nothing', 'values.length === 0 || ', ''),
  mutant(
    'condition-test.ts',
    'lists of a claim are not looked into',
    '[claim].flat().some(',
    '[claim].some(',
  ),
  mutant(
    'condition-test.ts',
    'one header of many must be all of them',
    'values.some((value) => textMatches(match, value))',
    'values.every((value) => textMatches(match, value))',
  ),
  mutant(
    'condition-test.ts',
    'a principal is compared with its scheme',
    'identity.slice(SCHEME.length)',
    'identity',
  ),
  mutant(
    'condition-test.ts',
    'an issuer alone is a principal',
    "isTextThat(subject, valueAt(facts.claims, ['sub']))",
    'true',
  ),
  mutant(
    'text-match.ts',
    'a prefix may be anywhere',
    'text.startsWith(match.value)',
    'text.includes(match.value)',
  ),
  mutant(
    'text-match.ts',
    'a suffix may be anywhere',
    'text.endsWith(match.value)',
    'text.includes(match.value)',
  ),
  mutant(
    'text-match.ts',
    'an exact value is a prefix',
    'text === match.value',
    'text.startsWith(match.value)',
  ),
  mutant(
    'address-range.ts',
    'the length of a range does not count',
    'BITS[range.family] - range.prefixLength',
    '0',
  ),
  mutant(
    'request.ts',
    'names of headers are compared letter by letter',
    'const key = name.toLowerCase();',
    'const key = name;',
  ),
  mutant(
    'request-path.ts',
    'slashes are not merged',
    'mergesSlashes ? merged(resolved)',
    'false ? merged(resolved)',
  ),
  mutant('request-path.ts', 'dots are not resolved', "if (dots === '..') kept.pop();", ''),
];

/** Each evaluator with its error. */
const broken = importAll();

async function importAll() {
  const loaded: { readonly what: string; readonly decide: typeof evaluate }[] = [];
  for (const [number, one] of MUTANTS.entries()) {
    const module = await importMutant<{ evaluate: typeof evaluate }>(ENTRY, one, number);
    loaded.push({ what: one.what, decide: module.evaluate });
  }
  return loaded;
}

function saysOther(
  decide: typeof evaluate,
  { authorization, request }: Pick<FuzzCase, 'authorization' | 'request'>,
  profile: HardeningProfile,
): boolean {
  const [one, other] = [decide, evaluate].map(
    (how) => how(authorization, request, profile).decision,
  );
  return one !== other;
}

/** Cases of which a broken evaluator says something else than the sound one. */
function differences(decide: typeof evaluate, fuzz: AuthzFuzz): readonly FuzzCase[] {
  return casesOf(fuzz).filter((one) => saysOther(decide, one, fuzz.profile));
}

test('planted errors are found by the kept cases alone', async () => {
  const kept = keptCases().map((one) => ({ ...one, authorization: authorizationOfCase(one) }));
  for (const { what, decide } of await broken) {
    const isFound = kept.some(({ authorization, request, profile }) =>
      saysOther(decide, { authorization, request }, profile),
    );
    assert.ok(isFound, what);
  }
});

test('planted errors in the evaluator are found', async (t) => {
  const found = new Map<string, number>();
  for (const fuzz of authzFuzzes(SEED)) {
    const envoy = await startAuthzEnvoy(t, fuzz.authorizations, fuzz.profile, fuzz.principals);
    for (const { what, decide } of await broken) {
      const different = differences(decide, fuzz);
      found.set(what, (found.get(what) ?? 0) + different.length);
      const [example] = different;
      if (example === undefined) continue;
      // The proxy sides with the sound evaluator: so comparing with it finds the error.
      const { index, request, authorization } = example;
      const { verdict } = await envoy.decide(index, request);
      const { decision } = evaluate(authorization, request, fuzz.profile);
      assert.equal(verdict === 'allow', decision === 'allow', what);
    }
  }
  for (const [what, count] of found) t.diagnostic(`${what}: ${count} differences`);
  assert.deepEqual(
    [...found].filter(([, count]) => count === 0),
    [],
  );
});
