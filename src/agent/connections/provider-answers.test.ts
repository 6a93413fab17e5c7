import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProviderAnswers } from '#agent/connections/provider-answers.ts';
import { LIMITS } from '#base/limits.ts';

// Proves what is told of providers from the counts of an Envoy, as it writes them.

const HTTP = 'http.inbound_0.0.0.0_8080;.ext_authz';
const PLAIN = 'http.inbound_0.0.0.0_8080;plaintext.ext_authz';

/** What is known after these looks at one run of Envoy. */
function after(...looks: readonly string[]) {
  const answers = new ProviderAnswers();
  const news = looks.map((text, index) => answers.take(text, index === 0));
  return { states: answers.report().map(({ name, state }) => `${name} ${state}`), news };
}

test('a provider answers, or does not, by what happened since the last look', () => {
  const first = `${HTTP}.check.ok: 3`;
  assert.deepEqual(after(first), { states: ['check answering'], news: [true] });
  const second = `${HTTP}.check.ok: 3\n${HTTP}.check.error: 1`;
  assert.deepEqual(after(first, second).states, ['check failing']);
  const third = `${HTTP}.check.ok: 3\n${HTTP}.check.denied: 1\n${HTTP}.check.error: 2`;
  assert.deepEqual(after(first, second, third).states, ['check flaky']);
});

test('of one that nobody asked since, what was known last stays, and is no news', () => {
  const text = `${HTTP}.check.error: 1`;
  assert.deepEqual(after(text, text), { states: ['check failing'], news: [true, false] });
});

test('counts begin at nothing with each run of Envoy', () => {
  const answers = new ProviderAnswers();
  answers.take(`${HTTP}.check.error: 5`, true);
  assert.equal(answers.take(`${HTTP}.check.ok: 1`, true), true);
  assert.deepEqual(answers.report(), [{ name: 'check', state: 'answering' }]);
});

test('names with dots, gateways, callers in plaintext and plain connections count, clusters do not', () => {
  const { states } = after(
    [
      `${PLAIN}.check.down.error: 1`,
      'ext_authz.tcp.rpc.denied: 1',
      'http.gateway_8443.ext_authz.front.ok: 1',
      'cluster.inbound|8080||.ext_authz.other.error: 1',
      `${HTTP}.rbac.allowed: 1`,
    ].join('\n'),
  );
  assert.deepEqual(states, ['check.down failing', 'front answering', 'rpc answering']);
});

test('of too many providers some are left out', () => {
  const count = LIMITS.reportedProvidersMax + 5;
  const lines = Array.from({ length: count }, (_, index) => `${HTTP}.p${index}.ok: 1`);
  assert.equal(after(lines.join('\n')).states.length, LIMITS.reportedProvidersMax);
});
