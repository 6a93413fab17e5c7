// bulwark test --live: the cases of the photo sample as real requests, from real workloads through
// their Envoys; and it sees when what is enforced is not what the cases say.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runBulwark } from '../kit/bulwark.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { workloadOf } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SAMPLE = join(ROOT, 'samples/photo');
const FILES = ['01-namespaces', '02-service-accounts', '03-services', '04-workload-groups'];
const POLICIES = ['05-mutual-tls', '06-authorization'];
const TIERS = [
  ['photo-ns', 'photo-frontend'],
  ['photo-ns', 'photo-backend'],
  ['datastore-ns', 'datastore'],
] as const;
const TESTS = ['test', join(SAMPLE, 'tests'), '--live'];

function sample(file: string): string {
  return readFileSync(join(SAMPLE, `${file}.yaml`), 'utf8');
}

test('the cases of the sample are real requests', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  for (const file of [...FILES, ...POLICIES]) await mesh.apply(sample(file));
  for (const [namespace, name] of TIERS) {
    const ports = [{ name: 'http', port: await startEchoApp(t, name) }];
    const workload = workloadOf(name, { namespace, group: name, app: { ports } });
    await mesh.startAgent(name, { workloads: [workload] });
  }
  const cli = (...args: readonly string[]) => runBulwark(args, { KUBECONFIG: mesh.kubeconfig });
  const directories = TIERS.map(([, name]) => join(mesh.directory, name));

  // The last workload that started is known to the others a moment later.
  const passed = await waitUntil(async () => {
    const result = await cli(...TESTS, ...directories);
    return result.code === 0 ? result : assert.fail(result.stdout + result.stderr);
  }, 'the cases to pass');
  assert.match(passed.stdout, /6 cases, all as expected\nRules exercised: 3 of 3/);
  assert.doesNotMatch(passed.stdout, /not tried/);

  const frontendOnly = await cli(...TESTS, directories[0] ?? '');
  assert.equal(frontendOnly.code, 0);
  assert.match(frontendOnly.stdout, /not tried: photo-ns\/photo-backend → .*does not run here/);

  await mesh.apply(sample('06-authorization').replaceAll('methods: [GET, POST]', 'methods: [GET]'));
  const failed = await waitUntil(async () => {
    const result = await cli(...TESTS, ...directories);
    return result.code === 3 && result;
  }, 'a case to fail');
  assert.match(failed.stdout, /FAIL {2}the backend may read and add photos/);
  assert.match(failed.stdout, /POST \/photos: expected allow, got deny \(403\)/);

  const nowhere = await cli(...TESTS, join(mesh.directory, 'nowhere'));
  assert.equal(nowhere.code, 64);
});
