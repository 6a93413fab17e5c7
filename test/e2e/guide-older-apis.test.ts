// The commands of the page "Leave the older APIs" work as they stand there: for files, and for a
// mesh that goes on meanwhile.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../tools/setup/processes.js';
import { GuidePage, startGuideMesh } from '../kit/guide-mesh.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';

test('the page about the older APIs', { timeout: 240_000 }, async (t) => {
  const page = new GuidePage('older-apis.md');
  const { terminal, ask } = await startGuideMesh(t);
  const folder = join(temporaryDirectory(t), 'policies');
  terminal.replaced.set('~/policies', folder);
  const file = join(folder, 'shop.yaml');
  await terminal.shell(page.blockWith('mkdir'));
  const before = await readFile(file, 'utf8');

  await t.test('files are shown first, then changed, and then there is nothing to do', async () => {
    const [show = '', again = ''] = page.blocksWith('migrate -f ~/policies\n');
    const shown = await terminal.shell(show);
    assert.match(shown, /^# Decided in the review of March\.\napiVersion: security\.istio\.io/);
    assert.equal(await readFile(file, 'utf8'), before, 'nothing is written without --write');
    await terminal.shell(page.blockWith('--write'));
    const after = await readFile(file, 'utf8');
    const [service = ''] = before.split('---\n');
    assert.equal(after, `${service}---\n${shown}`);
    assert.ok(after.includes('# no plaintext any more\nspec:\n  selector:\n    matchLabels:\n'));
    assert.ok(after.includes('# the load balancer has no token'));
    const [command = '', said = ''] = again.split('\n');
    assert.equal((await terminal.shell(`${command} 2>&1`)).trim(), said);
  });

  await t.test('what the new API cannot say is not written', async () => {
    const jwt = before.replace('mtls: {}', 'jwt: {issuer: https://accounts.example.com}');
    assert.notEqual(jwt, before);
    await terminal.shell(`cat > ~/policies/shop.yaml <<'END'\n${jwt}END`);
    const command = terminal.here('bin/bulwark.js migrate -f ~/policies --write');
    const { code, stdout, stderr } = await run('bash', ['-c', command], { env: terminal.env });
    assert.equal(code, 1);
    assert.equal(stdout.toString(), '');
    assert.match(
      stderr.toString(),
      /shop\.yaml:23: error: Policy shop\/web: spec\.peers: .*every connection is closed/,
    );
    assert.equal(await readFile(file, 'utf8'), jwt);
    await terminal.shell('bin/bulwark.js migrate -f ~/policies --write --force 2>&1');
    assert.notEqual(await readFile(file, 'utf8'), jwt, '--force writes all the same');
  });

  await t.test('a running mesh goes on, and no request fails meanwhile', async () => {
    let asks = true;
    const answers: string[] = [];
    const load = (async () => {
      while (asks) answers.push(await ask('/').catch(String));
    })();
    try {
      await terminal.shell(page.blockWith('name: photo-frontend\n  namespace'));
      const said = await terminal.shell(page.blockWith('migrate > '));
      const port = terminal.here('8083');
      assert.ok(said.trim().endsWith(`{"${port}":{"mode":"PERMISSIVE"}}`), said);
    } finally {
      asks = false;
      await load;
    }
    assert.notEqual(answers.length, 0);
    for (const answer of answers) assert.match(answer, /<figure>/);
    const left = await terminal.shell('bin/bulwark.js migrate 2>&1');
    assert.equal(left.trim(), 'There is no object of an older API.');
  });
});
