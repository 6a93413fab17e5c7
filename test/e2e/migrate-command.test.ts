// `bulwark migrate` and input that it cannot do everything with: it says so, and changes nothing.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '../kit/temp-directory.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

const SERVICE = `apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ name: http, port: 80 }] }
`;
const POLICY = `apiVersion: authentication.istio.io/v1alpha1
kind: Policy
metadata: { name: web }
spec: { targets: [{ name: web }], peers: [{ mtls: {} }] }
`;
const LIST = `apiVersion: v1
kind: List
items:
- apiVersion: authentication.istio.io/v1alpha1
  kind: Policy
  metadata: { name: web }
  spec: { targets: [{ name: web }], peers: [{ mtls: {} }] }
`;

function migrate(args: readonly string[], input = '') {
  const options = { input, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', MAIN, 'migrate', ...args],
    options,
  );
  return { status, stdout, stderr };
}

test('files change only where an older object is, and keep their permissions', async (t) => {
  const folder = temporaryDirectory(t);
  const [services, policies] = [join(folder, 'a.yaml'), join(folder, 'b.yaml')];
  await writeFile(services, SERVICE);
  await writeFile(policies, POLICY);
  await chmod(policies, 0o640);
  const { mtimeMs } = await stat(services);
  const { status, stderr } = migrate(['-f', folder, '-n', 'shop', '--write']);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /^Policy shop\/web -> PeerAuthentication shop\/web$/m);
  assert.equal((await stat(services)).mtimeMs, mtimeMs);
  assert.equal((await stat(policies)).mode & 0o777, 0o640);
  const text = await readFile(policies, 'utf8');
  assert.match(
    text,
    /kind: PeerAuthentication\nmetadata: \{ name: web \}/,
    'no namespace is put in',
  );
});

test('standard input comes back as new objects, and cannot be written to', () => {
  const given = `${SERVICE}---\n${POLICY}`;
  const { status, stdout, stderr } = migrate(['-f', '-'], given);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^kind: PeerAuthentication$/m);
  const wrong = migrate(['-f', '-', '--write'], given);
  assert.equal(wrong.status, 64);
  assert.match(wrong.stderr, /--write needs the files/);
  assert.equal(migrate(['--write']).status, 64);
});

test('what cannot be rewritten is told, and no file is touched', async (t) => {
  const folder = temporaryDirectory(t);
  const services = join(folder, 'a.yaml');
  const policies = join(folder, 'b.yaml');
  await writeFile(services, `${SERVICE}---\n${POLICY.replaceAll('web }', 'web }').trim()}\n`);
  const before = await readFile(services, 'utf8');
  await writeFile(policies, LIST.replace('{ name: web }', '{ name: other }'));
  const list = migrate(['-f', folder, '--write']);
  assert.equal(list.status, 1);
  assert.match(list.stderr, /b\.yaml cannot be rewritten: Policy other is in a list/);
  assert.equal(await readFile(services, 'utf8'), before);
  const json = join(folder, 'c.json');
  await writeFile(
    json,
    JSON.stringify({
      apiVersion: 'authentication.istio.io/v1alpha1',
      kind: 'MeshPolicy',
      metadata: { name: 'default' },
      spec: {},
    }),
  );
  const inJson = migrate(['-f', json, '--write']);
  assert.equal(inJson.status, 1);
  assert.match(inJson.stderr, /c\.json cannot be rewritten: it is JSON/);
});

test('a file with errors is told with its line, and nothing comes of it', async (t) => {
  const file = join(temporaryDirectory(t), 'a.yaml');
  await writeFile(file, `${SERVICE}---\n${POLICY.replace('peers', 'piers')}`);
  const { status, stdout, stderr } = migrate(['-f', file]);
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /a\.yaml:9:\d+: error: .*piers/);
});
