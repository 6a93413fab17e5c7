// The commands of the page "Migrate to STRICT" work as they stand there, after those of the first.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuidePage, startGuideMesh } from '../kit/guide-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

test('the page about STRICT', { timeout: 240_000 }, async (t) => {
  const page = new GuidePage('strict.md');
  const { terminal, ask } = await startGuideMesh(t);
  const run = (part: string) => terminal.shell(page.blockWith(part));
  /** Runs the command until the line of the frontend looks so; gives all it printed then. */
  const prints = async (part: string, expected: RegExp): Promise<string> => {
    let last = '';
    return waitUntil(
      async () => {
        last = await run(part);
        return expected.test(last) ? last : undefined;
      },
      String(expected),
      { withinMs: 60_000, everyMs: 500 },
    ).catch((cause: unknown) => {
      throw new Error(`printed: ${last}`, { cause });
    });
  };

  await t.test('a caller in plaintext is seen, and named by its address', async () => {
    assert.equal((await run('curl -s -o /dev/null -w')).trim(), '200');
    const text = await prints(
      'mtls status -n photo-ns\n',
      /^photo-ns\/photo-frontend +\d+ +PERMISSIVE +\(default\) +0 +1 +not safe: plaintext from 127/m,
    );
    assert.match(text, /^photo-ns\/photo-backend .* STRICT +PeerAuthentication .* strict$/m);
    assert.match(text, /1 of 2 ports take plaintext/);
  });

  await t.test('in the mesh it is not, and after the window STRICT is safe', async () => {
    assert.equal((await run('kubectl create serviceaccount')).trim().split('\n').at(-1), '200');
    await prints('--window 10s', /photo-frontend +\d+ +PERMISSIVE +\(default\) +1 +1 +safe: /);
  });

  await t.test('STRICT passes the check, and the mesh goes on', async () => {
    // The command ends with 1 where the check fails.
    assert.match(
      await run('mtls status -n photo-ns --check'),
      /photo-frontend .* STRICT .* strict$/m,
    );
    assert.match(await ask('/'), /<figure>/);
  });

  await t.test('a rule against it is named together with what it is against', async () => {
    const named =
      /photo-frontend\..* \(DestinationRule .* against PeerAuthentication .*\/default\)/;
    assert.match(await run('kind: DestinationRule'), named);
    assert.match(await run('mtls pairs'), /plaintext .* STRICT .* the client sends plaintext/);
  });

  await t.test('everything can be taken back', async () => {
    await run('kubectl delete destinationrule');
    assert.match(await terminal.shell('bin/bulwark.js mtls pairs --conflicts'), /^No client/);
  });
});
