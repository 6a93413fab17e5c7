// Questions about policies, asked of a running server: its objects and its settings count, not
// those of the caller. And `bulwark test --watch`, which goes on until it is ended.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bulwark, runBulwark } from '../kit/bulwark.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SAMPLE = join(ROOT, 'samples/photo');
const FILES = [
  '01-namespaces',
  '02-service-accounts',
  '03-services',
  '04-workload-groups',
  '05-mutual-tls',
  '06-authorization',
];
const START_MS_MAX = 60_000;

/** Keys from a place that the server does not fetch from. */
const USERS = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: users, namespace: photo-ns}
spec: {jwtRules: [{issuer: i, jwksUri: "http://127.0.0.1:1/keys"}]}
`;

const TO_DATASTORE = ['--to', 'datastore-ns/datastore', '--path', '/photos'];

describe('questions about policies', () => {
  test('are answered by the objects and settings of a server', async (t) => {
    const mesh = new RealMesh(t);
    await mesh.startServer('--trust-domain', 'photos.example');
    for (const file of FILES) await mesh.apply(readFileSync(join(SAMPLE, `${file}.yaml`), 'utf8'));
    const env = { KUBECONFIG: mesh.kubeconfig };
    const can = (from: string) => runBulwark(['can', '--from', from, ...TO_DATASTORE], env);

    // The sample names principals of cluster.local, and this mesh is another one.
    const backend = await can('photo-ns/photo-backend');
    assert.equal(backend.code, 3, backend.stderr);
    assert.match(backend.stdout, /datastore-callers/);
    const explained = await runBulwark(
      ['explain', '--from', 'photo-ns/photo-backend', ...TO_DATASTORE, '-o', 'json'],
      env,
    );
    const [{ nearest }] = (JSON.parse(explained.stdout) as { decisions: [{ nearest: unknown[] }] })
      .decisions;
    assert.match(JSON.stringify(nearest), /photos\.example\/ns\/photo-ns\/sa\/photo-backend/);

    const policies = readFileSync(join(SAMPLE, '06-authorization.yaml'), 'utf8');
    await mesh.apply(policies.replaceAll('cluster.local', 'photos.example'));
    assert.equal((await can('photo-ns/photo-backend')).code, 0);
    assert.equal((await can('photo-ns/photo-frontend')).code, 3);
    assert.equal((await can('outside')).code, 3);

    await mesh.apply(USERS);
    const user = ['--from', 'outside', '--to', 'photo-ns/photo-frontend', '--jwt', '{"iss": "i"}'];
    const { code, stdout } = await runBulwark(['can', ...user], env);
    assert.equal(code, 3);
    assert.match(stdout, /there are no keys to verify tokens of i /);

    const matrix = await runBulwark(['matrix'], env);
    assert.match(matrix.stdout, /^datastore-ns\/datastore:80 +photo-ns\/photo-backend +GET,POST /m);
    const tests = await runBulwark(['test', join(SAMPLE, 'tests'), '--server'], env);
    assert.equal(tests.code, 0, tests.stdout);
    assert.match(tests.stdout, /Rules exercised: 3 of 3/);
  });

  test('that are wrong end with 64, and a server that is not there with 1', async (t) => {
    const files = ['-f', SAMPLE];
    const wrong: readonly (readonly string[])[] = [
      ['can', ...files, '--from', 'a/b'],
      ['can', ...files, '--from', 'a/b', '--to', 'photo-ns/photo-backnd'],
      ['explain', ...files, '--access-log', 'hello'],
      ['matrix', ...files, '-o', 'svg'],
      ['test', join(SAMPLE, 'tests'), '-o', 'svg'],
      ['test', join(SAMPLE, 'tests'), '--min-coverage', 'all'],
    ];
    for (const args of wrong) {
      const { code, stderr } = await runBulwark(args);
      assert.equal(code, 64, `${args.join(' ')}: ${stderr}`);
      assert.match(stderr, /^bulwark: \S/m);
    }
    const KUBECONFIG = join(temporaryDirectory(t), 'none');
    const { code } = await runBulwark(['can', '--from', 'a/b', ...TO_DATASTORE], { KUBECONFIG });
    assert.equal(code, 1);
  });

  test('read the mesh configuration among files, and name what is wrong in them', async (t) => {
    const file = join(temporaryDirectory(t), 'more.yaml');
    writeFileSync(
      file,
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n' +
        'data: {mesh: "enableAutoMtls: false"}\n---\napiVersion: apps/v1\nkind: Deployment\n' +
        'metadata: {name: x}\n',
    );
    const ask = ['--from', 'photo-ns/photo-frontend', '--to', 'photo-ns/photo-backend'];
    const explain = (...files: readonly string[]) =>
      runBulwark(['explain', '-f', ...files, ...ask, '--path', '/photos']);
    assert.equal((await explain(SAMPLE)).code, 0);
    const { code, stdout } = await explain(SAMPLE, file);
    assert.equal(code, 3);
    assert.match(stdout, /sends plaintext, but the server takes mutual TLS only/);

    writeFileSync(file, 'apiVersion: v1\nkind: Service\nmetadata: {name: UPPER}\n');
    const broken = await explain(file);
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /more\.yaml:3:\d+: error: metadata\.name/);
  });

  test('are asked again when a file changes', async (t) => {
    const directory = temporaryDirectory(t);
    for (const file of FILES)
      writeFileSync(
        join(directory, `${file}.yaml`),
        readFileSync(join(SAMPLE, `${file}.yaml`), 'utf8'),
      );
    const tests = readFileSync(join(SAMPLE, 'tests/policies.yaml'), 'utf8');
    writeFileSync(join(directory, 'tests.yaml'), tests.replace('policies: ..\n', ''));
    const watching = bulwark(['test', join(directory, 'tests.yaml'), '--watch']);
    t.after(() => watching.stop());
    const said = (text: string) =>
      watching.waitForLine((line) => line.includes(text) || undefined, START_MS_MAX);
    await said('6 cases, all as expected');
    const policies = join(directory, '06-authorization.yaml');
    const text = readFileSync(policies, 'utf8');
    writeFileSync(policies, text.replace('[GET, POST]', '[GET]'));
    await said('6 cases, 1 not as expected');
  });
});
