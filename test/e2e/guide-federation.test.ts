// The commands of the guide's page on federation work as they stand there; only ports and folders
// are put in place of the page's.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '../kit/free-port.ts';
import { GuidePage, Terminal } from '../kit/guide-mesh.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { waitUntil } from '../kit/wait-until.ts';

test('the guide makes two meshes know each other', { timeout: 240_000 }, async (t) => {
  const page = new GuidePage('federation.md');
  const terminal = new Terminal();
  t.after(() => terminal.close());
  const directory = temporaryDirectory(t);
  for (const name of ['~/shop', '~/bank'])
    terminal.replaced.set(name, join(directory, name.slice(2)));
  for (const port of ['8443', '8444']) terminal.replaced.set(port, String(await freePort()));
  // The test's own servers have free ports anyway; those of a reader would meet on the usual ones.
  assert.match(page.blocksWith('server --data')[1] ?? '', /--secure-port 0 --monitoring-port 0/);
  for (const [index, command] of page.blocksWith('server --data').entries()) {
    const server = terminal.start(`server ${index}`, command);
    await server.waitForLine((line) => line === 'ready' || undefined, 60_000);
  }
  await terminal.shell(page.blockWith('bundle show'));
  const list = page.blockWith('bundle list');
  const row = await waitUntil(
    async () => /^bank\.test +1 +1 +\d{9,} .*$/m.exec(await terminal.shell(list))?.[0],
    'the bundle of the bank is fetched',
    { withinMs: 60_000 },
  );
  const show = 'bin/bulwark.js bundle show --kubeconfig ~/shop/admin.kubeconfig --format pem';
  const roots = readFileSync(join(directory, 'bank/root-cert.pem'), 'utf8');
  assert.equal((await terminal.shell(`${show} bank.test`)).trim(), roots.trim());
  await assert.rejects(terminal.shell(`${show} nobody.test`), /no bundle of nobody.test/);
  assert.match(row, / ok +https:\/\/127\.0\.0\.1:\d+$/);
});
