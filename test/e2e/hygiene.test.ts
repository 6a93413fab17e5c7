// What the running demo mesh leaves lying around: nothing that it should not.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DemoWorld } from '../../tools/demo/world.ts';
import { allListening, listeningSockets, processTree } from '../kit/processes.ts';

const LOOPBACK = new Set(['127.0.0.1', '::1']);
/** Files of the server that hold keys of its own, by purpose; no workload's key is among them. */
const KEYS_OF_THE_SERVER = new Set([
  'data/ca/ca-key.pem',
  'data/ca/jwt-keys.json',
  'data/access/api-clients.key',
  'data/access/token-key.pem',
  'data/admin.kubeconfig',
]);

/** Files below a folder; sockets and what vanishes meanwhile left out. */
function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function holdsKey(path: string): boolean {
  // What is written whole has another name before.
  const text = existsSync(path) ? readFileSync(path, 'latin1') : '';
  return /PRIVATE KEY|client-key-data/.test(text);
}

/** Asks for a certificate with no credential; tells how that ended. */
function createCertificate(authority: string): Promise<string> {
  return new Promise((resolve) => {
    const session = connectHttp2(authority, { rejectUnauthorized: false });
    const end = (outcome: string): void => {
      session.destroy();
      resolve(outcome);
    };
    session.on('error', (error: Error) => end(`connection: ${error.message}`));
    const call = session.request({
      ':method': 'POST',
      ':path': '/istio.v1.auth.IstioCertificateService/CreateCertificate',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const tell = (headers: IncomingHttpHeaders): void => {
      const status = headers['grpc-status'];
      if (status !== undefined) end(`status: ${status} ${headers['grpc-message']}`);
    };
    call.on('response', tell);
    call.on('trailers', tell);
    call.on('error', (error: Error) => end(`connection: ${error.message}`));
    call.on('close', () => end('closed'));
    call.end(Buffer.alloc(5));
  });
}

describe('a running mesh', () => {
  const directory = mkdtempSync(join(tmpdir(), 'bw-'));
  const world = new DemoWorld({
    root: fileURLToPath(new URL('../..', import.meta.url)),
    directory,
    certTtl: '10m',
    report: () => {},
  });

  before(() => world.start());
  after(() => world.close());

  it('listens on loopback only', () => {
    const pids = world.processes.flatMap(({ pid }) => processTree(pid));
    const sockets = listeningSockets(pids);
    assert.ok(sockets.length >= 10, `only ${sockets.length} sockets were found`);
    const others = sockets.filter(({ address }) => !LOOPBACK.has(address));
    assert.deepEqual(others, []);
  });

  it('keeps no private key of a workload on disk', () => {
    const found = filesBelow(directory).filter(holdsKey);
    const names = found.map((path) => relative(directory, path));
    assert.ok(names.includes('data/ca/ca-key.pem'), 'the search finds keys');
    assert.deepEqual(
      names.filter((name) => !KEYS_OF_THE_SERVER.has(name)),
      [],
    );
    for (const path of found) assert.equal(statSync(path).mode & 0o077, 0, path);
  });

  it('writes no secret into a log', async () => {
    await world.callAs('photo-frontend', 'http://datastore.datastore-ns/photos');
    const lines = world.processes.flatMap((one) => one.lines);
    assert.ok(lines.length > 5, 'there are lines to look at');
    const bad = lines.filter((line) => /PRIVATE KEY|\beyJ[\w-]{8,}\.[\w-]{8,}/.test(line));
    assert.deepEqual(bad, []);
  });

  it('has neither plaintext xDS nor debug pages', async () => {
    const pids = world.processes.flatMap(({ pid }) => processTree(pid));
    const ports = new Set(listeningSockets(pids).map(({ port }) => port));
    assert.ok(!ports.has(15010) && !ports.has(8080));
    const { monitoring } = world.server.addresses();
    for (const path of ['/debug', '/debug/configz', '/debug/adsz', '/debug/pprof/']) {
      assert.equal((await fetch(`${monitoring}${path}`)).status, 404, path);
    }
    assert.equal((await fetch(`${monitoring}/metrics`)).status, 200);
  });

  it('signs certificates on TLS only, and only for callers that prove who they are', async () => {
    const { discovery, ports } = world.server.addresses();
    const plain = await createCertificate(`http://${discovery}`);
    assert.doesNotMatch(plain, /^status: /);
    const bare = await createCertificate(`https://${discovery}`);
    assert.equal(bare, 'status: 16 request authenticate failure');
    for (const port of [ports.api, ports.monitoring]) {
      const elsewhere = await createCertificate(`https://127.0.0.1:${port}`);
      assert.doesNotMatch(elsewhere, /^status: /, `port ${port}`);
    }
  });

  it('is gone without a trace when it ends', async () => {
    const pids = world.processes.flatMap(({ pid }) => processTree(pid));
    const inodes = new Set(listeningSockets(pids).map(({ inode }) => inode));
    await world.close();
    assert.deepEqual(
      pids.flatMap((pid) => processTree(pid)),
      [],
    );
    // Not by port: it may be somebody else's by now.
    const left = allListening().filter(({ inode }) => inodes.has(inode));
    assert.deepEqual(left, []);
    assert.throws(() => statSync(directory), /ENOENT/);
  });
});
