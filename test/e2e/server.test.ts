// bulwark server as a process: what it says, what it refuses to start with, and what survives.
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { cp } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bulwark, DemoServer } from '../../tools/demo/demo-server.ts';
import type { ManagedProcess } from '../kit/child-process.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FREE_PORTS = ['--api-port', '0', '--secure-port', '0', '--monitoring-port', '0'];
const READY_MS_MAX = 60_000;

function start(test: TestContext, data: string, args: readonly string[] = []): ManagedProcess {
  const all = ['server', '--data', data, ...FREE_PORTS, ...args];
  const server = bulwark(ROOT, { name: 'server', args: all });
  test.after(() => server.stop());
  return server;
}

async function ready(server: ManagedProcess): Promise<void> {
  await server.waitForLine((line) => line === 'ready' || undefined, READY_MS_MAX);
}

/** What a server that does not start says to the user; one line. */
async function refusal(test: TestContext, data: string, args?: readonly string[]): Promise<string> {
  const server = start(test, data, args);
  await server.ended;
  assert.equal(server.exit?.code, 1, server.tail());
  const said = server.lines.filter((line) => line.startsWith('bulwark: '));
  assert.equal(said.length, 1, server.tail());
  return said[0] ?? '';
}

function listening(test: TestContext): Promise<{ server: Server; port: number }> {
  const server = createServer();
  test.after(() => server.close());
  return new Promise((resolve) => {
    server.listen({ port: 0, host: '127.0.0.1' }, () => {
      resolve({ server, port: (server.address() as { port: number }).port });
    });
  });
}

describe('bulwark server', () => {
  const directory = mkdtempSync(join(tmpdir(), 'bw-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  let used: Promise<string> | undefined;

  async function firstRun(test: TestContext): Promise<string> {
    const data = join(directory, 'data');
    const server = start(test, data);
    await ready(server);
    await server.stop();
    assert.equal(server.exit?.code, 0, server.tail());
    return data;
  }

  /** A data folder as a first run leaves it: of one run, a copy for each test. */
  async function usedFolder(test: TestContext): Promise<string> {
    used ??= firstRun(test);
    const data = join(temporaryDirectory(test), 'data');
    await cp(await used, data, { recursive: true, preserveTimestamps: true });
    return data;
  }

  it('says where it listens and writes a kubeconfig for its owner only', async (t) => {
    const data = join(temporaryDirectory(t), 'data');
    const server = start(t, data);
    await ready(server);
    const said = server.lines.join('\n');
    assert.match(said, /kubeconfig .*admin\.kubeconfig.*0600/);
    assert.match(said, /API +https:\/\/127\.0\.0\.1:\d+/);
    assert.equal(statSync(join(data, 'admin.kubeconfig')).mode & 0o777, 0o600);
    assert.equal(statSync(join(data, 'ca/ca-key.pem')).mode & 0o777, 0o600);
    assert.equal(statSync(data).mode & 0o777, 0o700);
  });

  it('keeps objects, ports, root and kubeconfig over a kill', async (t) => {
    const data = join(temporaryDirectory(t), 'data');
    const server = new DemoServer({ root: ROOT, data, certTtl: '1h' });
    t.after(() => server.stop());
    await server.start();
    await server.applySample();
    const kept = ['addresses.json', 'root-cert.pem', 'admin.kubeconfig'];
    const read = (): readonly string[] =>
      kept.map((name) => readFileSync(join(data, name), 'utf8'));
    const before = read();
    await server.kill();
    await server.start();
    assert.deepEqual(read(), before);
    assert.deepEqual(await server.listObjects(), server.objectsBeforeKill);
  });

  for (const flag of ['--api-port', '--secure-port', '--monitoring-port']) {
    it(`names the port and the flag when ${flag} is taken`, async (t) => {
      const { port } = await listening(t);
      const data = join(temporaryDirectory(t), 'data');
      const said = await refusal(t, data, [flag, String(port)]);
      assert.ok(said.includes(String(port)), said);
    });
  }

  it('does not share its data folder', async (t) => {
    const data = join(temporaryDirectory(t), 'data');
    await ready(start(t, data));
    assert.match(await refusal(t, data), /another server uses the data folder/);
  });

  for (const file of ['ca/ca-key.pem', 'access/token-key.pem', 'admin.kubeconfig']) {
    it(`does not use ${file} when others may read it`, async (t) => {
      const data = await usedFolder(t);
      chmodSync(join(data, file), 0o644);
      assert.match(await refusal(t, data), /mode 0644.*chmod 600/);
    });
  }

  for (const file of ['ca/ca-key.pem', 'access/token-key.pem', 'store/store.db']) {
    it(`says which file is damaged when ${file} is`, async (t) => {
      const data = await usedFolder(t);
      const path = join(data, file);
      truncateSync(path, 0);
      writeFileSync(path, 'no key and no database '.repeat(300));
      assert.ok((await refusal(t, data)).includes(path));
    });
  }

  it('starts from a damaged list of ports as if it had none', async (t) => {
    const data = await usedFolder(t);
    writeFileSync(join(data, 'addresses.json'), '{"ports": ');
    await ready(start(t, data));
  });

  it('refuses unknown and wrong settings by name', async (t) => {
    const directory = temporaryDirectory(t);
    const file = join(directory, 'settings.yaml');
    writeFileSync(file, 'trust-domain: example.org\n');
    const unknown = await refusal(t, join(directory, 'data'), ['--settings', file]);
    assert.match(unknown, /"trust-domain".*did you mean "trustDomain"/);
    const wrong = await refusal(t, join(directory, 'data'), ['--trust-domain', 'Not A Domain']);
    assert.match(wrong, /Not A Domain/);
  });
});
