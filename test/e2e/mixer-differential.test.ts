// Random expressions of Mixer against the real Envoy: what it is asked comes out as the expression
// does, told by looking.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { regexProblem } from '#api/regex.ts';
import { LIMITS } from '#base/limits.ts';
import { parseExpression } from '#mixer/parse.ts';
import { patternWithin } from '#mixer/reference.ts';
import type { AuthzRequest } from '#policy/authz/request.ts';
import { agentQuestion, computedKey, EXT_AUTHZ } from '#xds/generate/authz/agent-question.ts';
import { startAuthzEnvoy } from '../kit/authz-envoy.ts';
import { holdsByLooking, someExpression, someRequest } from '../kit/mixer-arbitrary.ts';
import { authorizationFor, listOf, rule } from '../kit/mixer-rules.ts';

/** A failure prints it, and it can be set again. */
const SEED = Number(process.env.BULWARK_TEST_SEED ?? Date.now() & 0x7fffffff);
const EXPRESSIONS = 60;
const REQUESTS = 12;

test('Envoy denies the requests of which an expression is true', {
  timeout: 240_000,
}, async (t) => {
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
  const asked = cases.filter(({ authorization }) => agentQuestion(authorization)).length;
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
  t.diagnostic(`seed ${SEED}: ${JSON.stringify(counts)}, ${asked} ask the agent`);
  assert.ok(asked > 5 && asked < cases.length, 'some rules need the agent');
  assert.ok(counts.deny > 20 && counts.allow > 20, 'both outcomes came');
});

/** Pieces of regular expressions, some of which only JavaScript takes. */
const PIECES = [
  ...['a', '.', '^', '$', '|', '(a|b)', '(?:', '(', ')', '[a-z]', '[^/]', '[', ']', '[]', '\\]'],
  ...['*', '+', '?', '{3}', '{2,}', '{1,900}', '{1001}', '\\d', '\\b', '[\\b]', '\\pL', '\\p'],
  ...[
    '\\u0041',
    '\\x{41}',
    '\\x41',
    '\\cA',
    '\\Q',
    '\\E',
    '\\z',
    '\\1',
    '\\0',
    '(?i:b)',
    '(?P<x>c)',
  ],
];

/** Rules from which on callers are looked up first. */
const MANY = 1000;

test('what other filters left in the place of a value does not count', async (t) => {
  const expression = 'toLower(request.headers["x"])';
  const key = computedKey(expression);
  const before = (value: string) => ({
    name: 'before',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config',
      metadata: [{ metadata_namespace: EXT_AUTHZ, value: { [key]: value }, allow_overwrite: true }],
    },
  });
  const denied = authorizationFor({ app: 'shop' }, rule(`${expression} == "a"`));
  for (const value of ['=a', '=b']) {
    const envoy = await startAuthzEnvoy(t, [denied], 'strict', 'peer', MANY, [before(value)]);
    const verdict = async (headers: Readonly<Record<string, string>>) => {
      const http = { method: 'GET', target: '/', host: 'a', headers };
      const address = '127.0.0.1';
      const request = { source: { address }, destination: { address, port: 8080 }, http };
      return (await envoy.decide(0, request)).verdict;
    };
    assert.equal(await verdict({ x: 'A' }), 'deny');
    assert.equal(await verdict({ x: 'B' }), 'allow');
    assert.equal(await verdict({}), 'allow', 'what is absent has no value');
  }
});

test('Envoy takes the longest lists, of every type', { timeout: 240_000 }, async (t) => {
  const { mixerListEntriesMax: max } = LIMITS;
  const entries = (make: (at: number) => string) =>
    Array.from({ length: max }, (_, at) => make(at));
  const plain = 'request.headers["x"]';
  const lists = [
    listOf({ overrides: entries((at) => `entry-${at}`), blacklist: true }, plain),
    listOf({ overrides: entries((at) => `entry-${at}`), blacklist: true }, `toLower(${plain})`),
    listOf(
      {
        overrides: entries((at) => `Entry-${at}`),
        entryType: 'CASE_INSENSITIVE_STRINGS',
        blacklist: true,
      },
      plain,
    ),
    listOf(
      {
        overrides: entries((at) => `^entry-${at}$`).slice(-LIMITS.mixerListPatternsMax),
        entryType: 'REGEX',
        blacklist: true,
      },
      plain,
    ),
  ];
  const authorizations = lists.map((list) => authorizationFor({ app: 'shop' }, list));
  const envoy = await startAuthzEnvoy(t, authorizations, 'strict');
  const [some] = fc.sample(someRequest, { numRuns: 1, seed: SEED });
  const asked = (x: string): AuthzRequest => {
    const { source, destination } = some ?? assert.fail();
    return { source, destination, http: { method: 'GET', target: '/', host: 'a', headers: { x } } };
  };
  const known = `entry-${max - 1}`;
  for (const [index] of lists.entries()) {
    assert.equal((await envoy.decide(index, asked(known))).verdict, 'deny', `list ${index}`);
    assert.equal((await envoy.decide(index, asked(`entry-${max}`))).verdict, 'allow');
  }
});

test('Envoy takes the regular expressions that the API takes', { timeout: 240_000 }, async (t) => {
  const some = fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 6 });
  const patterns = fc
    .sample(some, { numRuns: 3000, seed: SEED })
    .map((pieces) => pieces.join(''))
    .filter((pattern) => regexProblem(patternWithin(pattern)) === undefined);
  t.diagnostic(`seed ${SEED}: ${patterns.length} expressions`);
  assert.ok(patterns.length > 200);
  const list = { overrides: patterns, entryType: 'REGEX', blacklist: true };
  const authorization = authorizationFor({ app: 'shop' }, listOf(list, 'request.headers["x"]'));
  const envoy = await startAuthzEnvoy(t, [authorization], 'strict');
  const [request] = fc.sample(someRequest, { numRuns: 1, seed: SEED });
  assert.ok(request);
  await envoy.decide(0, request);
});
