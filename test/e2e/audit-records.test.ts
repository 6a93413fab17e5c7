// What proxies tell of calls, and the API of changes, is recorded by the control plane, in a mesh
// of processes: server, agent and two Envoys.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { AccessRecord, AuditView, ChangeRecord } from '#admin/audit.ts';
import { ADMIN_PATHS } from '#admin/contract.ts';
import { bulwark as startBulwark } from '../kit/bulwark.ts';
import { startEchoApp, startTcpApp } from '../kit/echo-app.ts';
import { GuidePage } from '../kit/guide-mesh.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { applicationYaml, groupYaml, policyYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

const OBJECTS = yamlOf(
  applicationYaml('shop', 'app', ['http', 'tcp']),
  groupYaml('shop', 'caller'),
);

const policies = (http: number, tcp: number) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no, namespace: shop }
spec:
  selector: { matchLabels: { app: app } }
  action: DENY
  rules:
  - to: [{ operation: { paths: ["/no*"], ports: ["${http}"] } }]
  - to: [{ operation: { ports: ["${tcp}"] } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: watch, namespace: shop }
spec:
  selector: { matchLabels: { app: app } }
  action: AUDIT
  rules: [{ to: [{ operation: { paths: ["/watched*"], ports: ["${http}"] } }] }]
`;

async function startMesh(t: TestContext) {
  const mesh = new RealMesh(t);
  await mesh.startServer('--audit-traffic', '100');
  await mesh.apply(OBJECTS);
  const http = await startEchoApp(t, 'app');
  const { port: tcp } = await startTcpApp(t);
  const ports = [
    { name: 'http', port: http },
    { name: 'tcp', port: tcp },
  ];
  const status = await mesh.startAgent('agent', {
    workloads: [
      workloadOf('app', { group: 'app', app: { ports } }),
      workloadOf('caller', { group: 'caller', upstreams: ['app.shop.svc.cluster.local:81'] }),
    ],
  });
  const { ports: own } = await status('caller');
  const client = new KeepAliveClient({ port: own.httpProxyPort });
  t.after(() => client.close());
  const ask = async (path: string, headers: Readonly<Record<string, string>> = {}) =>
    (await client.ask({ target: `http://app.shop${path}`, headers })).status;
  const { ports: taken } = await status('app');
  const inbound = taken.inbound.find(({ name }) => name === 'http')?.listen ?? 0;
  return { mesh, http, tcp, ask, inbound, tcpPort: own.upstreams[0]?.listen ?? 0 };
}

/** What a port answers to bytes. */
async function rawCall(port: number, bytes: Buffer): Promise<{ readonly text: string }> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(bytes);
  await once(socket, 'close');
  return { text };
}

const ODD = Buffer.concat([
  Buffer.from('GET /no/"%0a%1b[2J HTTP/1.1\r\nhost: app\r\nx-request-id: '),
  Buffer.from([0xff, 0xfe, 0x22, 0xc2, 0x9b, 0x32, 0x4a]),
  Buffer.from('\r\ntraceparent: "}\r\nconnection: close\r\n\r\n'),
]);
const LONG = 'a'.repeat(20_000);
const GIANT = `GET /no/${LONG} HTTP/1.1\r\nhost: ${LONG}\r\nconnection: close\r\n\r\n`;

/** One call of each kind: proxies tell them together. */
async function makeCalls(
  mesh: Pick<Awaited<ReturnType<typeof startMesh>>, 'ask' | 'inbound' | 'tcpPort'>,
): Promise<void> {
  const { ask, inbound, tcpPort } = mesh;
  const headers = {
    traceparent: `00-${TRACE}-00f067aa0ba902b7-01`,
    authorization: 'Bearer abc',
    cookie: 'id=abc',
  };
  assert.equal(await ask('/no/secret?token=abc', headers), 403);
  assert.equal(await ask('/watched'), 200);
  assert.match((await rawCall(inbound, ODD)).text, /^HTTP\/1\.1 403/);
  await rawCall(inbound, Buffer.from(GIANT));
  await rawCall(tcpPort, Buffer.from('hello'));
}

const later = (path: string): string => {
  const spec = `{ action: DENY, rules: [{ to: [{ operation: { paths: [${path}] } }] }] }`;
  return policyYaml('shop', 'later', spec);
};

/** A line of the page, with any time, port and id in place of those that it shows. */
function shownLine(line: string): RegExp {
  const exact = line.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const anyPort = exact.replace(/:\d{5}/g, ':\\d+').replace(/[0-9a-f-]{32,}$/, '\\S+');
  return new RegExp(`^${anyPort.replace(/^2026\S+Z/, '\\S+Z').replace(/ {2,}/g, ' {2,}')}`, 'm');
}

test('records of calls and of changes', { timeout: 240_000 }, async (t) => {
  const { mesh, http, tcp, ask, inbound, tcpPort } = await startMesh(t);
  await waitUntil(async () => (await ask('/')) === 200, 'the application answers');
  await mesh.enforce(policies(http, tcp));
  await makeCalls({ ask, inbound, tcpPort });
  const bulwark = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await mesh.tryCommand(...args);
    return { code, text: stdout, note: stderr };
  };
  const view = async (query: string) =>
    (await mesh.api.expect({ method: 'GET', path: `${ADMIN_PATHS.audit}?${query}` })) as AuditView;
  const recordOf = (holds: (record: AccessRecord) => boolean, what: string) =>
    waitUntil(async () => {
      const { records } = await view('');
      return records.filter((one) => one.type === 'access').find(holds);
    }, what);

  await t.test('a denied request: who, what, and which rule', async () => {
    const record = await recordOf(({ path }) => path === '/no/secret', 'the denial');
    const { decision, caller, workload, method, host, port, status, cause } = record;
    assert.deepEqual(
      { decision, caller, method, host, port, status, cause },
      {
        decision: 'denied',
        caller: 'spiffe://cluster.local/ns/shop/sa/caller',
        method: 'GET',
        host: 'app.shop',
        port: http,
        status: 403,
        cause: 'rule',
      },
    );
    assert.deepEqual(workload, {
      namespace: 'shop',
      name: 'app',
      identity: 'spiffe://cluster.local/ns/shop/sa/app',
    });
    assert.deepEqual([record.policy, record.rule, record.traceId], ['shop/no', 0, TRACE]);
    assert.doesNotMatch(JSON.stringify(record), /abc/, 'no query, token or cookie');
  });

  await t.test('an allowed request that an AUDIT policy matches', async () => {
    const record = await recordOf(({ path }) => path === '/watched', 'the audited request');
    assert.deepEqual(
      [record.decision, record.auditedBy, record.auditRule],
      ['allowed', 'shop/watch', 0],
    );
  });

  await t.test('a denied connection', async () => {
    const record = await recordOf(({ protocol }) => protocol === 'tcp', 'the connection');
    assert.deepEqual(
      [record.decision, record.policy, record.rule, record.port],
      ['denied', 'shop/no', 1, tcp],
    );
    assert.equal(record.caller, 'spiffe://cluster.local/ns/shop/sa/caller');
  });

  await t.test('who changed what', async () => {
    await mesh.apply(policies(http, tcp).replace('"/no*"', '"/never*"'));
    const { records } = await view('of=changes&policy=shop/no');
    const [created, updated] = records as readonly ChangeRecord[];
    assert.equal(created?.verb, 'create');
    assert.deepEqual(updated?.fields, [
      { field: 'spec.rules[0].to[0].operation.paths[0]', before: '"/no*"', after: '"/never*"' },
    ]);
    assert.equal(updated?.user, 'bulwark-admin');
  });

  await t.test('the commands of the guide say so, each as the page shows it', async () => {
    const file = join(mesh.directory, 'later.yaml');
    writeFileSync(file, later('/watched'));
    const blocks = new GuidePage('audit.md').blocksWith('node bin/bulwark.js');
    assert.equal(blocks.length, 5);
    for (const [command = '', ...lines] of blocks.map((block) => block.trimEnd().split('\n'))) {
      const args = command.replace('node bin/bulwark.js ', '').replace('later.yaml', file);
      const { code, text, note } = await bulwark(...args.split(' '));
      assert.equal(code, command.includes('would-deny') ? 3 : 0, note);
      for (const line of lines) assert.match(text, shownLine(line), `${command}: ${note}`);
      if (command.includes('json')) assert.equal(JSON.parse(text).type, 'access');
    }
  });

  await t.test('nobody is said to be denied by a policy that denies nobody', async () => {
    const file = join(mesh.directory, 'other.yaml');
    writeFileSync(file, later('/nobody-asked'));
    const { code, text } = await bulwark('would-deny', '-f', file, '--since', '1h');
    assert.equal(code, 0, text);
    assert.match(
      text,
      /^0 of \d+ kinds[\s\S]*a sample of 100 of 100 calls[\s\S]*1 calls that AUDIT/,
    );
  });

  await t.test('bytes that are no text neither hide nor forge records', async () => {
    const isOdd = ({ path }: AccessRecord) => path?.startsWith('/no/%22') === true;
    const record = await recordOf(isOdd, 'the odd one');
    assert.equal(record.caller, undefined, 'who sends plaintext is nobody');
    assert.equal(record.callerAddress, '127.0.0.1');
    const isGiant = ({ path }: AccessRecord) => path?.startsWith('/no/aaa') === true;
    const giant = await recordOf(isGiant, 'the giant');
    assert.ok(JSON.stringify(giant).length < 4096);
    const lines = readFileSync(join(mesh.data, 'audit/calls.jsonl'), 'utf8').trimEnd().split('\n');
    for (const line of lines) JSON.parse(line);
    assert.doesNotMatch(lines.join(''), /\p{Cc}/u);
  });

  await t.test('bulwark audit-log --follow shows what comes', async (sub) => {
    const follow = ['audit-log', '--follow', '--since', '0s', '--kubeconfig', mesh.kubeconfig];
    // How many are shown of before says nothing of those that come.
    const shown = startBulwark([...follow, '--decision', 'denied', '--limit', '1']);
    sub.after(() => shown.stop());
    // The first look may come before or after a call.
    const isShown = async (): Promise<boolean> => {
      assert.equal(await ask('/never/followed'), 403);
      return shown.lines.some((line) => line.includes('/never/followed'));
    };
    await waitUntil(isShown, 'the denial is shown', { withinMs: 60_000, everyMs: 500 });
    const paths = Array.from({ length: 10 }, (_, index) => `/never/at/once/${index}`);
    for (const path of paths) assert.equal(await ask(path), 403);
    const missing = () => paths.filter((path) => !shown.lines.some((line) => line.includes(path)));
    await waitUntil(() => missing().length === 0, 'all of them are shown');
  });

  await t.test('files are for their owner alone', () => {
    const mode = statSync(join(mesh.data, 'audit/calls.jsonl')).mode & 0o777;
    assert.equal(mode.toString(8), '600');
  });
});
