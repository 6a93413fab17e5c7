// The commands of the page "End-user authentication" work as they stand there, after those of the
// first.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuidePage, startGuideMesh } from '../kit/guide-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

test('the page about end users', { timeout: 240_000 }, async (t) => {
  const page = new GuidePage('end-user-authentication.md');
  const { terminal } = await startGuideMesh(t);
  // Each block runs in a shell of its own; the reader has one, and the variables stay.
  const names = ['PORT', 'KEYS', 'ALICE', 'BOB'];
  const print = `printf '%s\\n' ${names.map((name) => `"$${name}"`).join(' ')}`;
  const values = (await terminal.shell(`${page.blockWith('PORT=')}\n${print}`)).split('\n');
  for (const [index, name] of names.entries()) terminal.env[name] = values[index];
  const [tokens = '', users = ''] = page.blocksWith('curl ');
  const becomes = (block: string, ...statuses: readonly string[]) =>
    waitUntil(
      async () => (await terminal.shell(block)).trim() === statuses.join('\n'),
      `curl prints ${statuses}`,
      { withinMs: 60_000, everyMs: 100 },
    );
  await becomes(tokens, '200', '200', '200');

  await t.test('tokens are looked at', async () => {
    await terminal.shell(page.blockWith('kind: RequestAuthentication'));
    await becomes(tokens, '200', '401', '200');
  });

  await t.test('a token is asked for', async () => {
    await terminal.shell(page.blockWith('REQUIRED'));
    await becomes(tokens, '200', '401', '401');
  });

  await t.test('the user decides', async () => {
    await terminal.shell(page.blockWith('kind: AuthorizationPolicy'));
    await becomes(users, '200', '403');
  });

  await t.test('the command about keys answers, and everything can be taken back', async () => {
    assert.match(await terminal.shell(page.blockWith('jwks status')), /No policy names an issuer/);
    await terminal.shell(page.blockWith('kubectl delete'));
    await becomes(tokens, '200', '200', '200');
  });
});
