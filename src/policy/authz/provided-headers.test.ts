import assert from 'node:assert/strict';
import { test } from 'node:test';
import { extensionProviders } from '#model/extension-provider.ts';
import { providedHeaders } from '#policy/authz/provided-headers.ts';

function provided(toApplication: readonly string[], asks: readonly string[] = []) {
  const [provider] = extensionProviders([
    {
      name: 'p',
      envoyExtAuthzHttp: {
        service: 's',
        port: 1,
        includeRequestHeadersInCheck: asks,
        headersToUpstreamOnAllow: toApplication,
      },
    },
  ]);
  assert.ok(provider);
  const { stripped, kept } = providedHeaders(provider);
  return { stripped: stripped.map((match) => ('value' in match ? match.value : '*')), kept };
}

test('what a provider sets is taken away from callers, whatever its case', () => {
  assert.deepEqual(provided(['X-User', 'x-a-*', '*-Role']), {
    stripped: ['x-user', 'x-a-', '-role'],
    kept: [],
  });
});

test('what a provider gets to see is left', () => {
  for (const [header, asked] of [
    ['x-user', 'X-USER'],
    ['x-user', 'x-*'],
    ['x-*', 'x-user'],
    ['*-role', 'x-*'],
    ['x-a-*', 'x-*'],
    ['*-b-role', '*-role'],
    ['x-user', '*'],
  ] as const)
    assert.deepEqual(provided([header], [asked]), { stripped: [], kept: [header] }, header);
  assert.deepEqual(provided(['x-a*'], ['x-b*']).kept, []);
  assert.deepEqual(provided(['*-a'], ['*-b', 'x-c']).kept, []);
});

test('what no request can do without is left', () => {
  assert.deepEqual(provided(['authorization', 'Host', '*', 'cookie']), {
    stripped: ['cookie'],
    kept: ['authorization', 'Host', '*'],
  });
});
