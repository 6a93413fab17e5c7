import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runBulwark } from '../../../test/kit/bulwark.ts';
import { freePort } from '../../../test/kit/free-port.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const SAMPLES = fileURLToPath(new URL('../../../samples/photo', import.meta.url));

test('a server that does not answer is told once, not for each object', async (t) => {
  const file = join(temporaryDirectory(t), 'kubeconfig');
  const server = `https://127.0.0.1:${await freePort()}`;
  const cluster = `{name: c, cluster: {server: "${server}", insecure-skip-tls-verify: true}}`;
  const context = '{name: c, context: {cluster: c, user: c}}';
  const text = `clusters: [${cluster}]
contexts: [${context}]
users: [{name: c, user: {token: t}}]
current-context: c
`;
  writeFileSync(file, text, { mode: 0o600 });
  const { code, stderr } = await runBulwark(['apply', '-f', SAMPLES, '--kubeconfig', file]);
  assert.equal(code, 1);
  assert.match(stderr, /^bulwark: no answer from the API server at [^\n]*\n$/);
});
