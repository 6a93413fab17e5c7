// The commands of the page "Mixer's access control" work as they stand there, after those of the
// first.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuidePage, startGuideMesh } from '../kit/guide-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

test("the page about Mixer's access control", { timeout: 240_000 }, async (t) => {
  const page = new GuidePage('mixer.md');
  const { terminal, ask } = await startGuideMesh(t);
  const becomes = (answer: RegExp) =>
    waitUntil(async () => answer.test(await ask('/try-datastore')), String(answer));
  await becomes(/"status":403,"body":"RBAC: access denied"/);
  await terminal.shell(page.blockWith('kubectl delete authorizationpolicy'));
  await becomes(/"status":200/);

  await t.test('a denier denies, and says so', async () => {
    await terminal.shell(page.blockWith('compiledAdapter: denier'));
    const [, refused = ''] = page.blockWith('PERMISSION_DENIED').split('\n');
    // The policy is in force before the listener that knows its words: a moment lies between.
    await waitUntil(async () => (await ask('/try-datastore')) === refused, refused);
    assert.match(await ask('/'), /<figure>/);
  });

  await t.test('what cannot be asked is refused', async () => {
    const [command = '', answer = ''] = page.blockWith('source.labels').split('\n');
    const said = await terminal.shell(`${command.slice(2)} 2>&1 || true`);
    assert.equal(said.trim(), answer);
  });

  await t.test('a list denies who is not in it', async () => {
    await terminal.shell(page.blockWith('kind: listchecker'));
    await terminal.shell('kubectl delete rule no-frontend -n datastore-ns');
    await becomes(/"status":403,"body":"RBAC: access denied"/);
    assert.match(await ask('/'), /<figure>/);
  });

  await t.test('everything can be taken back', async () => {
    const [remove = '', restore = ''] = page.blockWith('kubectl delete rules').split('\n');
    await terminal.shell(remove);
    await becomes(/"status":200/);
    await terminal.shell(restore);
    await becomes(/"status":403/);
  });
});
