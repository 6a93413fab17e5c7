import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { bulwark } from '../../../test/kit/bulwark.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

describe('bulwark would-deny', () => {
  const cases = {
    'that is not there': [undefined, /cannot read .*change\.yaml/],
    'that is wrong': [
      'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: x }\nspec: { action: ALOW }\n',
      /change\.yaml:4:\d+: error: spec\.action: .*\(did you mean "ALLOW"\?\)/,
    ],
  } as const;
  for (const [what, [text, expected]] of Object.entries(cases)) {
    it(`tells of a file ${what} before it asks a server for records`, async (t) => {
      const directory = temporaryDirectory(t);
      const file = join(directory, 'change.yaml');
      if (text !== undefined) writeFileSync(file, text);
      const nobody = join(directory, 'kubeconfig');
      const child = bulwark(['would-deny', '-f', file, '--kubeconfig', nobody]);
      t.after(() => child.stop());
      await child.ended;
      assert.notEqual(child.exit?.code, 0);
      assert.match(child.lines.join('\n'), expected);
    });
  }
});
