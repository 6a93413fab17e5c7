// What a matrix says of a caller is so for whatever the caller asks: random policies and requests.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { evaluate } from '#policy/authz/evaluate.ts';
import { factsOf } from '#policy/authz/request.ts';
import { reachOf } from '#policy/decide/reach.ts';
import { authorizationOf } from '../../../test/kit/authorization-policy.ts';
import { policies, request } from '../../../test/kit/authz-arbitrary.ts';

const RUNS = 2000;

test('who reaches everything is never denied, and who reaches nothing never allowed', () => {
  const seen = { all: 0, some: 0, none: 0 };
  fc.assert(
    fc.property(policies, request, fc.constantFrom('strict', 'istio'), (objects, one, profile) => {
      const hardening = profile === 'istio' ? 'istio' : 'strict';
      const authorization = authorizationOf(objects, hardening);
      const { source, destination, http } = one;
      const caller = { source: { identity: source.identity, address: '' } };
      const call = { ...caller, destination: { port: destination.port } };
      const facts = factsOf(call, 'NONE', hardening);
      assert.ok(facts);
      const { reach } = reachOf(http ? authorization.http : authorization.tcp, facts);
      const { decision, because } = evaluate(authorization, one, hardening);
      seen[reach] += 1;
      if (because === 'the request is malformed') return;
      if (reach === 'all') assert.equal(decision, 'allow');
      if (reach === 'none') assert.equal(decision, 'deny');
    }),
    { numRuns: RUNS },
  );
  // Each answer is given often enough to mean something.
  for (const count of Object.values(seen)) assert.ok(count > RUNS / 50, JSON.stringify(seen));
});
