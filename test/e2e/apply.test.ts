// bulwark apply against a real server, and taking turns with kubectl.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DemoServer } from '../../tools/demo/demo-server.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = join(ROOT, 'src/cli/main.ts');
const SAMPLE = join(ROOT, 'samples/photo');

function policy(action: string): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: one, namespace: default, labels: {mine: "yes"}}
spec: {action: ${action}, rules: [{}]}
`;
}

describe('bulwark apply', () => {
  const directory = mkdtempSync(join(tmpdir(), 'bw-'));
  const data = join(directory, 'data');
  const server = new DemoServer({ root: ROOT, data, certTtl: '1h' });

  function run(command: string, args: readonly string[], input = '') {
    const env = { ...process.env, KUBECONFIG: server.kubeconfig, HOME: directory };
    const { status, stdout, stderr } = spawnSync(command, args, { env, input, encoding: 'utf8' });
    return { status, stdout, stderr };
  }
  const apply = (args: readonly string[], input?: string) =>
    run(process.execPath, [MAIN, 'apply', ...args], input);

  before(() => server.start());
  after(async () => {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('creates, then finds nothing to do, then changes what differs', () => {
    const file = join(directory, 'policy.yaml');
    const shown = 'authorizationpolicy.security.istio.io/one';
    for (const [action, outcome] of [
      ['ALLOW', 'created'],
      ['ALLOW', 'unchanged'],
      ['DENY', 'configured'],
    ]) {
      writeFileSync(file, policy(action ?? ''));
      const { status, stdout, stderr } = apply(['-f', file]);
      assert.equal(status, 0, stderr);
      assert.equal(stdout, `${shown} ${outcome}\n`);
    }
  });

  it('takes out what was applied before and keeps what others added', () => {
    const name = ['authorizationpolicy', 'one'];
    assert.equal(run('kubectl', ['label', ...name, 'theirs=too']).status, 0);
    const without = policy('DENY').replace(', labels: {mine: "yes"}', '');
    assert.equal(apply(['-f', '-'], without).status, 0);
    const { stdout } = run('kubectl', ['get', ...name, '-o', 'jsonpath={.metadata.labels}']);
    assert.deepEqual(JSON.parse(stdout), { theirs: 'too' });
  });

  it('and kubectl apply find nothing to do after each other', () => {
    assert.equal(run('kubectl', ['apply', '-f', SAMPLE]).status, 0);
    const second = apply(['-f', SAMPLE]);
    assert.equal(second.status, 0, second.stderr);
    assert.doesNotMatch(second.stdout, /configured|created/);
    const third = run('kubectl', ['apply', '-f', SAMPLE]);
    assert.doesNotMatch(third.stdout, /configured|created/);
  });

  it('sends nothing when one document is wrong, and names file, line and field', () => {
    const input = `${policy('ALLOW').replaceAll('one', 'two')}---\n${policy('Deny')}`;
    const { status, stdout, stderr } = apply(['-f', '-'], input);
    assert.equal(status, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /standard input:9:\d+: error: spec\.action: .*"ALLOW", "DENY"/);
    assert.notEqual(run('kubectl', ['get', 'authorizationpolicy', 'two']).status, 0);
  });

  it('goes on after a refusal of the server and tells by its exit code', () => {
    const lost = policy('ALLOW').replace('default', 'nowhere').replace('one', 'lost');
    const { status, stdout, stderr } = apply(['-f', '-'], `${lost}---\n${policy('AUDIT')}`);
    assert.equal(status, 1);
    assert.match(stderr, /lost: .*"nowhere" not found/);
    assert.match(stdout, /one configured/);
  });

  it('says how to go on when there is no server or no kubeconfig', () => {
    const { status, stderr } = apply(['-f', SAMPLE, '--kubeconfig', join(directory, 'none')]);
    assert.equal(status, 1);
    assert.match(stderr, /cannot read the kubeconfig .*admin\.kubeconfig/);
  });

  describe('of a text with typographic quotes', () => {
    // As it is printed in the documents.
    const printed = `apiVersion: “rbac.istio.io/v1alpha1”
kind: RbacConfig
metadata:
  name: default
  namespace: istio-system
spec:
  mode: ON_WITH_INCLUSION
  inclusion:
    namespaces: [“default”]
`;

    it('shows the lines as they should be, and applies nothing', () => {
      const { status, stdout, stderr } = apply(['-f', '-'], printed);
      assert.equal(status, 1);
      assert.equal(stdout, '');
      assert.match(
        stderr,
        /^standard input:1:13: error: .* typographic.*: write apiVersion: "rbac/,
      );
      assert.match(stderr, /^standard input:9:18: error: .*: write namespaces: \["default"\]$/m);
    });

    it('is refused by the server in the same words when kubectl sends it', () => {
      const sent = printed.replace(/^apiVersion.*/, 'apiVersion: rbac.istio.io/v1alpha1');
      const { status, stderr } = run('kubectl', ['create', '-f', '-'], sent);
      assert.notEqual(status, 0);
      assert.match(stderr, /spec\.inclusion\.namespaces\[0\].*typographic; write "default"/);
    });

    it('works once `validate --fix` has corrected it', () => {
      const file = join(directory, 'printed.yaml');
      writeFileSync(file, printed);
      const validate = (args: readonly string[]) =>
        run(process.execPath, [MAIN, 'validate', ...args]);
      assert.equal(validate([]).status, 64);
      for (const how of [[file], ['-f', file]]) assert.equal(validate(how).status, 65);
      assert.equal(validate(['--fix', file]).status, 0);
      assert.equal(readFileSync(file, 'utf8'), printed.replaceAll(/[“”]/g, '"'));
      const { status, stdout } = apply(['-f', file]);
      assert.equal(status, 0);
      assert.equal(stdout, 'rbacconfig.rbac.istio.io/default created\n');
    });
  });
});
