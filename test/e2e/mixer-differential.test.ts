// Random expressions of Mixer against the real Envoy: what it is asked comes out as the expression
// does, told by looking.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseExpression } from '#mixer/parse.ts';
import { startAuthzEnvoy } from '../kit/authz-envoy.ts';
import { holdsByLooking, someExpression, someRequest } from '../kit/mixer-arbitrary.ts';
import { authorizationFor, rule } from '../kit/mixer-rules.ts';

/** A failure prints it, and it can be set again. */
const SEED = Number(process.env.BULWARK_TEST_SEED ?? Date.now() & 0x7fffffff);
const EXPRESSIONS = 60;
const REQUESTS = 12;

test('Envoy denies the requests of which an expression is true', { timeout: 90_000 }, async (t) => {
  const sources = fc.sample(someExpression, { numRuns: EXPRESSIONS * 2, seed: SEED });
  const cases = sources
    .map((source) => {
      const authorization = authorizationFor({ app: 'shop', version: 'b' }, rule(source));
      return { source, authorization, parsed: parseExpression(source) };
    })
    .filter(({ authorization: { policies } }) =>
      policies.every(({ diagnostics }) => diagnostics.length === 0),
    )
    .slice(0, EXPRESSIONS);
  const requests = fc.sample(someRequest, { numRuns: REQUESTS, seed: SEED });
  const envoy = await startAuthzEnvoy(
    t,
    cases.map(({ authorization }) => authorization),
    'strict',
  );
  const counts = { allow: 0, deny: 0, malformed: 0 };
  for (const [index, { source, parsed }] of cases.entries()) {
    assert.ok('expression' in parsed);
    for (const request of requests) {
      const wanted: string = holdsByLooking(parsed.expression, request) ? 'deny' : 'allow';
      const { verdict } = await envoy.decide(index, request);
      counts[verdict] += 1;
      assert.equal(verdict, wanted, `seed ${SEED}, ${source}: ${JSON.stringify(request)}`);
    }
  }
  t.diagnostic(`seed ${SEED}: ${JSON.stringify(counts)}`);
  assert.ok(counts.deny > 20 && counts.allow > 20, 'both outcomes came');
});
