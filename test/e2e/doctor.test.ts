// `bulwark doctor` beside a control plane: a healthy machine passes, and each thing that is wrong
// is named with what to do.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Finding } from '#cli/doctor/finding.ts';
import { FakeControlPlane } from '../fakes/fake-control-plane.ts';
import { startAgent } from '../kit/agent.ts';
import { bulwark } from '../kit/bulwark.ts';
import { testMesh } from '../kit/mesh.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { testAuthority } from '../kit/test-authority.ts';

/** A token with these claims, that nobody signed: the doctor looks at its claims only. */
function tokenOf(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'ES256' })}.${part(claims)}.c2lnbmF0dXJl`;
}

const CLAIMS = {
  aud: ['istio-ca'],
  sub: 'system:serviceaccount:web:caller',
  exp: Math.floor(Date.now() / 1000) + 3600,
};

async function setUp(t: TestContext) {
  const folder = temporaryDirectory(t);
  const control = new FakeControlPlane(t, testMesh([]));
  await control.start();
  const root = join(folder, 'root.pem');
  const token = join(folder, 'token');
  writeFileSync(root, control.authority.rootPem);
  writeFileSync(token, tokenOf(CLAIMS), { mode: 0o600 });
  const ask = async (changes: Record<string, string> = {}) => {
    const options = {
      '--discovery-address': control.address,
      '--ca-root': root,
      '--namespace': 'web',
      '--service-account': 'caller',
      '--token-file': token,
      ...changes,
    };
    const child = bulwark(['doctor', '-o', 'json', ...Object.entries(options).flat()]);
    t.after(() => child.stop());
    await child.ended;
    const text = child.lines.join('\n');
    const { healthy, findings } = JSON.parse(text) as { healthy: boolean; findings: Finding[] };
    const find = (check: string): Finding =>
      findings.find((finding) => finding.check === check) ?? assert.fail(`${check}: ${text}`);
    return { code: child.exit?.code, healthy, findings, find, text };
  };
  return { folder, control, root, token, ask };
}

describe('bulwark doctor', () => {
  it('finds a healthy machine with a running agent', async (t) => {
    const { ask, control } = await setUp(t);
    const agent = await startAgent(t, control, [{ namespace: 'web', name: 'caller' }]);
    await agent.agent.whenReady({ withinMs: 60_000 });
    const { code, findings, find, text } = await ask({ '--run-directory': agent.runDirectory });
    assert.equal(code, 0, text);
    assert.deepEqual(
      findings.map(({ check, state }) => `${state} ${check}`),
      [
        'ok node',
        'ok envoy',
        'ok run directory',
        'skipped ports caller.web',
        'ok server address',
        'ok server port',
        'ok server certificate',
        'ok clock',
        'ok token caller.web',
        'ok agent',
        'ok workload caller.web',
        'ok certificate caller.web',
      ],
    );
    assert.match(find('certificate caller.web').message, /good for/);
    assert.ok(!text.includes(tokenOf(CLAIMS).split('.')[1] ?? 'none'));
  });

  it('tells a wrong root from a wrong name from a server that is away', async (t) => {
    const { ask, control, folder } = await setUp(t);
    const other = join(folder, 'other.pem');
    writeFileSync(other, testAuthority('other').root);
    const wrongRoot = await ask({ '--ca-root': other });
    assert.equal(wrongRoot.code, 1);
    assert.match(wrongRoot.find('server certificate').message, /does not verify against caRoot/);
    assert.match(wrongRoot.find('server certificate').remedy ?? '', /root-cert\.pem/);
    assert.equal(wrongRoot.find('clock').state, 'skipped');

    const wrongName = await ask({ '--discovery-server-name': 'other.example.com' });
    assert.match(wrongName.find('server certificate').message, /istiod\.istio-system\.svc/);
    assert.equal(wrongName.code, 1);

    await control.stop();
    const away = await ask();
    assert.match(away.find('server port').message, /cannot be reached: ECONNREFUSED/);
    assert.equal(away.find('server certificate').state, 'skipped');
    assert.equal(away.find('token caller.web').state, 'ok');
    assert.equal(away.code, 1);
  });

  it('tells what is wrong with a token', async (t) => {
    const { ask, token } = await setUp(t);
    const said = async (claims: object): Promise<string> => {
      writeFileSync(token, tokenOf({ ...CLAIMS, ...claims }));
      const { code, find } = await ask();
      assert.equal(code, 1);
      assert.match(find('token caller.web').remedy ?? '', /kubectl create token -n web caller/);
      return find('token caller.web').message;
    };
    assert.match(await said({ exp: 1 }), /expired/);
    assert.match(await said({ aud: ['other'] }), /audience is other, not istio-ca/);
    assert.match(await said({ sub: 'system:serviceaccount:web:other' }), /it is for .*other/);
    const missing = await ask({ '--token-file': '/nonexistent/token' });
    assert.match(missing.find('token caller.web').message, /cannot be used/);
  });

  it('tells what is wrong with the machine', async (t) => {
    const { ask, folder } = await setUp(t);
    const open = join(folder, 'open');
    mkdirSync(open);
    chmodSync(open, 0o755);
    const shared = await ask({ '--run-directory': open, '--envoy-path': '/nonexistent/envoy' });
    assert.equal(shared.code, 1);
    assert.match(shared.find('run directory').remedy ?? '', /chmod 700/);
    assert.match(shared.find('envoy').remedy ?? '', /BULWARK_ENVOY/);
    const long = await ask({ '--run-directory': join(folder, 'x'.repeat(100)) });
    assert.match(long.find('run directory').message, /too long for sockets/);
  });

  it('reads the configuration of an agent, and says what is wrong with it', async (t) => {
    const { ask, folder, token } = await setUp(t);
    const config = join(folder, 'agent.json');
    const workload = { namespace: 'web', serviceAccount: 'caller', tokenFile: token };
    writeFileSync(config, JSON.stringify({ workloads: [workload] }));
    const good = await ask({ '--config': config });
    assert.equal(good.code, 0, good.text);
    assert.equal(good.find('configuration').state, 'ok');
    writeFileSync(config, JSON.stringify({ workloads: [{ ...workload, mode: 'none' }] }));
    const bad = await ask({ '--config': config });
    assert.match(bad.find('configuration').message, /workloads\[0\]\.mode/);
    assert.equal(bad.code, 1);
  });
});
