import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { readAgentConfig } from '#agent/config/agent-config.ts';
import { isBulwarkError } from '#base/errors.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

function configFile(t: TestContext, text: string): string {
  const path = join(temporaryDirectory(t), 'agent.yaml');
  writeFileSync(path, text);
  return path;
}

async function problemsOf(t: TestContext, text: string): Promise<readonly string[]> {
  const error = await readAgentConfig(configFile(t, text)).then(
    () => assert.fail('was accepted'),
    (thrown: unknown) => thrown,
  );
  assert.ok(isBulwarkError(error, 'AGENT_CONFIG_INVALID'), String(error));
  return error.data.problems as string[];
}

const FULL = `
discoveryAddress: 127.0.0.1:15012
caRoot: root.pem
workloads:
- namespace: photo-ns
  serviceAccount: photo-frontend
  name: frontend
  group: frontend
  tokenFile: tokens/frontend
  labels: {app: frontend}
  app: {ports: [{name: http, port: 8080}]}
  upstreams: ["photo-backend.photo-ns:80", "db.data-ns:5432=15432"]
- {namespace: data-ns, serviceAccount: db, mode: redirect, addresses: [10.0.0.7]}
`;

describe('the configuration of an agent', () => {
  it('gives every workload with its defaults, and paths relative to the file', async (t) => {
    const path = configFile(t, FULL);
    const { workloads, settings } = await readAgentConfig(path);
    const directory = dirname(path);
    const caRoot = join(directory, 'root.pem');
    assert.deepEqual(settings, { discoveryAddress: '127.0.0.1:15012', caRoot });
    const [frontend, db] = workloads;
    assert.equal(frontend?.tokenFile, join(directory, 'tokens/frontend'));
    assert.deepEqual(frontend?.ports, [{ name: 'http', port: 8080, listen: 0 }]);
    assert.deepEqual(frontend?.upstreams, [
      { host: 'photo-backend.photo-ns', port: 80, listen: 0 },
      { host: 'db.data-ns', port: 5432, listen: 15432 },
    ]);
    assert.deepEqual(frontend?.addresses, ['127.0.0.1']);
    assert.equal(db?.name, 'db');
    assert.equal(db?.mode, 'redirect');
    assert.deepEqual(db?.addresses, ['10.0.0.7']);
  });

  it('names each wrong field and what is accepted there, all at once', async (t) => {
    const problems = await problemsOf(
      t,
      `workloads:
- namespace: Photo
  serviceAcount: web
  mode: transparent
  labels: {app: 1}
  addresses: [here]
  app: {ports: [{name: http, port: 70000}, {port: 80}], extra: 1}
  upstreams: [nowhere]
`,
    );
    const fields = problems.map((problem) => problem.split(' ')[0]);
    assert.deepEqual(fields.sort(), [
      'workloads[0].addresses[0]',
      'workloads[0].app.extra',
      'workloads[0].app.ports[0].port',
      'workloads[0].app.ports[1].name',
      'workloads[0].labels',
      'workloads[0].mode',
      'workloads[0].namespace',
      'workloads[0].serviceAccount',
      'workloads[0].serviceAcount',
      'workloads[0].upstreams[0]',
    ]);
    assert.ok(
      problems.includes('workloads[0].mode must be one of explicit, redirect, gateway, identity'),
    );
  });

  it('may not name a workload, a port or an upstream twice', async (t) => {
    const problems = await problemsOf(
      t,
      `workloads:
- {namespace: a, serviceAccount: web, app: {ports: [{name: p, port: 1}, {name: p, port: 2}]}}
- {namespace: a, serviceAccount: web, upstreams: ["a-b:80", "a.b:80"]}
`,
    );
    assert.match(problems[0] ?? '', /workloads\[0\].app.ports has two entries with name p/);
    assert.match(problems[1] ?? '', /workloads\[1\].upstreams names one service twice/);
    assert.match(problems[2] ?? '', /two entries named web.a/);
  });

  it('may not have two workloads write their keys to one folder', async (t) => {
    const problems = await problemsOf(
      t,
      `workloads:
- {namespace: a, serviceAccount: one, outputCerts: certs}
- {namespace: a, serviceAccount: two, outputCerts: ./certs/}
- {namespace: a, serviceAccount: three, outputCerts: certs/three}
`,
    );
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', /outputCerts .*certs is that of two workloads/);
  });

  it('is refused when it is empty, a list, broken YAML or not there', async (t) => {
    assert.match((await problemsOf(t, '')).join(), /is empty/);
    assert.match((await problemsOf(t, '[1]')).join(), /must be a map/);
    assert.match((await problemsOf(t, 'workloads: [')).join(), /not YAML/);
    assert.match((await problemsOf(t, 'workloads: []')).join(), /at least one/);
    await assert.rejects(readAgentConfig('/nonexistent/agent.yaml'), (error) =>
      isBulwarkError(error, 'AGENT_CONFIG_INVALID'),
    );
  });

  it('keeps options of explicit mode out of redirect mode', async (t) => {
    const text =
      'workloads: [{namespace: a, serviceAccount: w, mode: redirect, httpProxyPort: 8080}]';
    assert.match((await problemsOf(t, text)).join(), /are for mode explicit/);
  });
});
