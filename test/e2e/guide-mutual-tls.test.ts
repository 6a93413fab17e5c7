// The commands of the page "Turn on mutual TLS" work as they stand there, after those of the first.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuidePage, startGuideMesh } from '../kit/guide-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

test('the page about mutual TLS', { timeout: 240_000 }, async (t) => {
  const page = new GuidePage('mutual-tls.md');
  const { terminal, ask } = await startGuideMesh(t);
  const look = page.blockWith('curl ');
  // curl says by its exit code, too, that it got no answer.
  const answers = async () => (await terminal.shell(`${look.trimEnd()} || true`)).trim();
  const becomes = (status: string) =>
    waitUntil(async () => (await answers()) === status, `curl prints ${status}`, {
      withinMs: 60_000,
      everyMs: 100,
    });
  assert.equal(await answers(), '200');

  await t.test('a PeerAuthentication closes one workload, and the mesh goes on', async () => {
    await terminal.shell(page.blockWith('name: photo-frontend'));
    await becomes('000');
    assert.match(await ask('/'), /<figure>/);
  });

  await t.test('a Policy of the older API does the same', async () => {
    const [remove = '', apply = ''] = page.blockWith('kind: Policy').split(/(?<=-n photo-ns)\n/);
    await terminal.shell(remove);
    await becomes('200');
    await terminal.shell(apply);
    await becomes('000');
    assert.match(await ask('/'), /<figure>/);
  });

  await t.test('beside a PeerAuthentication the Policy does not count, and says so', async () => {
    await terminal.shell(page.blockWith('mode: PERMISSIVE'));
    await becomes('200');
    const expected = page.blockWith('means nothing: PeerAuthentication').trim();
    const status = page.blockWith('kubectl get policies');
    await waitUntil(async () => (await terminal.shell(status)).trim() === expected, expected);
  });

  await t.test('everything can be taken back', async () => {
    await terminal.shell(page.blockWith('kubectl delete policies'));
    await becomes('200');
  });
});
