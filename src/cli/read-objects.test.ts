import assert from 'node:assert/strict';
import { readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { formatDiagnostic, readObjects, readText, writeText } from '#cli/read-objects.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

async function* text(content: string): AsyncIterable<string> {
  yield content;
}

const POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny-all, namespace: team}
spec: {}
`;
const NAMESPACE = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n';

describe('files of objects', () => {
  it('are read from folders in the order of names, namespaces first', async (t) => {
    const directory = temporaryDirectory(t);
    writeFileSync(join(directory, '1.yaml'), POLICY);
    writeFileSync(join(directory, '2.yml'), NAMESPACE);
    writeFileSync(join(directory, 'notes.txt'), 'not YAML: {');
    const { objects, diagnostics } = await readObjects([directory], text(''));
    assert.deepEqual(diagnostics, []);
    assert.deepEqual(
      objects.map(({ kind }) => kind),
      ['Namespace', 'AuthorizationPolicy'],
    );
  });

  it('are read from standard input, and errors name line and column', async () => {
    const wrong = `${NAMESPACE}---\n${POLICY.replace('{}', '{action: Allow}')}`;
    const { objects, diagnostics } = await readObjects(['-'], text(wrong));
    assert.equal(objects.length, 1);
    assert.match(
      formatDiagnostic(diagnostics[0] ?? assert.fail()),
      /^standard input:8:\d+: error: spec\.action: .*ALLOW/,
    );
  });

  it('are told with what may be meant', async () => {
    const wrong = POLICY.replace('{}', '{ rulez: [] }');
    const { diagnostics } = await readObjects(['-'], text(wrong));
    assert.match(
      formatDiagnostic(diagnostics[0] ?? assert.fail()),
      /unknown field "spec\.rulez" \(did you mean "spec\.rules"\?\)$/,
    );
  });

  it('that are missing, or folders without any, are refused by name', async (t) => {
    const directory = temporaryDirectory(t);
    for (const name of [directory, join(directory, 'none.yaml')]) {
      await assert.rejects(
        readObjects([name], text('')),
        (error) => isBulwarkError(error, 'FILES_UNREADABLE') && error.message.includes(name),
      );
    }
  });

  it('that never end, or are no text, are refused by name', async (t) => {
    async function* endless(): AsyncIterable<Buffer> {
      for (;;) yield Buffer.alloc(1024 * 1024, 'a: 1\n');
    }
    const refused = (what: RegExp) => (error: unknown) =>
      isBulwarkError(error, 'FILES_UNREADABLE') && what.test(error.message);
    await assert.rejects(readObjects(['-'], endless()), refused(/^standard input is larger/));
    await assert.rejects(readObjects(['/dev/zero'], text('')), refused(/^\/dev\/zero is larger/));
    const latin1 = join(temporaryDirectory(t), 'latin1.yaml');
    writeFileSync(latin1, Buffer.from(`# caf\u00e9\n${NAMESPACE}`, 'latin1'));
    await assert.rejects(readObjects([latin1], text('')), refused(/latin1\.yaml is not UTF-8/));
  });

  it('are written anew with their permissions, behind a link where they are one', async (t) => {
    const directory = temporaryDirectory(t);
    const [file, link] = [join(directory, 'real.yaml'), join(directory, 'link.yaml')];
    writeFileSync(file, NAMESPACE, { mode: 0o640 });
    symlinkSync('real.yaml', link);
    await writeText(link, POLICY);
    assert.equal(readlinkSync(link), 'real.yaml');
    assert.equal(await readText(file), POLICY);
    assert.equal(statSync(file).mode & 0o777, 0o640);
  });
});
