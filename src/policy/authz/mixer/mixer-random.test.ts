// Random expressions: what Envoy is asked comes out as the expression does.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { parseExpression } from '#mixer/parse.ts';
import { evaluate } from '#policy/authz/evaluate.ts';
import {
  holdsByLooking,
  someExpression,
  someRequest,
} from '../../../../test/kit/mixer-arbitrary.ts';
import { authorizationFor, rule } from '../../../../test/kit/mixer-rules.ts';

it('a rule denies the requests of which its expression is true, and no other', () => {
  let denied = 0;
  let decided = 0;
  fc.assert(
    fc.property(someExpression, fc.array(someRequest, { minLength: 8 }), (source, requests) => {
      const parsed = parseExpression(source);
      assert.ok('expression' in parsed, source);
      const authorization = authorizationFor({ app: 'shop', version: 'b' }, rule(source));
      const [policy] = authorization.policies;
      fc.pre(policy === undefined || policy.diagnostics.length === 0);
      for (const request of requests) {
        const holds = holdsByLooking(parsed.expression, request);
        const { decision } = evaluate(authorization, request, 'strict');
        assert.equal(decision, holds ? 'deny' : 'allow', `${source}: ${JSON.stringify(request)}`);
        decided += 1;
        if (holds) denied += 1;
      }
    }),
    { numRuns: 300 },
  );
  assert.ok(denied > decided / 20 && denied < decided, 'both outcomes came');
});
