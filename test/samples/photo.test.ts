// The three tiers of the photo sample work together, without a mesh, and go through a proxy where
// one is named.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ManagedProcess } from '../kit/child-process.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';

const SAMPLE = fileURLToPath(new URL('../../samples/photo', import.meta.url));
const WAIT_MS = 30_000;

interface Tier {
  readonly url: string;
  readonly process: ManagedProcess;
}

/** Starts a tier on a free port. */
async function startTier(name: string, env: Record<string, string> = {}): Promise<Tier> {
  const tier = new ManagedProcess({
    name,
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', join(SAMPLE, `${name}.ts`)],
    env: { http_proxy: undefined, HTTP_PROXY: undefined, PORT: '0', ...env },
  });
  const address = await tier.waitForLine(
    (line) => /"listening":"([^"]+)"/.exec(line)?.[1],
    WAIT_MS,
  );
  return { url: `http://${address}`, process: tier };
}

async function json(url: string, init?: RequestInit): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url, init);
  return { status: response.status, body: await response.json() };
}

const post = (body: string): RequestInit => ({ method: 'POST', body });

describe('the photo sample', () => {
  const tiers: ManagedProcess[] = [];
  let datastore: Tier;
  let backend: Tier;
  let frontend: Tier;

  before(async () => {
    datastore = await startTier('datastore');
    tiers.push(datastore.process);
    backend = await startTier('backend', { DATASTORE_URL: datastore.url });
    tiers.push(backend.process);
    frontend = await startTier('frontend', {
      BACKEND_URL: backend.url,
      DATASTORE_URL: datastore.url,
    });
    tiers.push(frontend.process);
  });
  after(() => Promise.all(tiers.map((tier) => tier.stop())));

  test('every tier says that it is healthy', async () => {
    for (const { url } of [datastore, backend, frontend])
      assert.equal((await fetch(`${url}/healthz`)).status, 200);
  });

  test('the frontend shows a page of the photos that the datastore keeps', async () => {
    const response = await fetch(frontend.url);
    const html = await response.text();
    assert.equal(response.status, 200);
    assert.equal(html.match(/<figure><img src="\/photos\/\d+\.svg"/g)?.length, 6);
    assert.match(html, /Harbour at dawn, by Ines/);
    const picture = await fetch(`${frontend.url}/photos/1.svg`);
    assert.equal(picture.headers.get('content-type'), 'image/svg+xml');
    assert.match(await picture.text(), /^<svg /);
  });

  test('a photo added at the backend is kept, and its title cannot break the page', async () => {
    const photo = JSON.stringify({ title: '<script>alert(1)</script>', author: 'Eve' });
    const { status, body } = await json(`${backend.url}/photos`, post(photo));
    assert.equal(status, 201);
    const { id } = body as { id: number };
    const kept = await json(`${datastore.url}/photos/${id}`);
    assert.equal((kept.body as { author: string }).author, 'Eve');
    const html = await (await fetch(frontend.url)).text();
    assert.match(html, /&lt;script&gt;alert/);
    assert.doesNotMatch(html, /<script/);
  });

  test('bad requests are refused with a reason, through every tier', async () => {
    const photos = `${backend.url}/photos`;
    assert.equal((await json(photos, post('no json'))).status, 400);
    assert.equal((await json(photos, post('{"title": "", "author": "x"}'))).status, 400);
    assert.equal((await json(photos, post('x'.repeat(70_000)))).status, 413);
    assert.equal((await json(`${photos}/999`)).status, 404);
    assert.equal((await fetch(`${frontend.url}/photos/999.svg`)).status, 404);
    assert.equal((await fetch(frontend.url, { method: 'DELETE' })).status, 405);
  });

  test('the frontend tells what it gets when it tries the datastore', async () => {
    const { body } = await json(`${frontend.url}/try-datastore`);
    assert.equal((body as { status: number }).status, 200);
  });
});

describe('a tier of the photo sample', () => {
  async function started(t: TestContext, name: string, env: Record<string, string> = {}) {
    const tier = await startTier(name, env);
    t.after(() => tier.process.stop());
    return tier;
  }

  test('sends the whole address to the proxy that http_proxy names', async (t) => {
    const asked: IncomingMessage[] = [];
    const proxy = createServer((request, response) => {
      asked.push(request);
      response.writeHead(403).end('RBAC: access denied');
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    t.after(() => proxy.close());
    const { port } = proxy.address() as AddressInfo;
    const tier = await started(t, 'frontend', { http_proxy: `http://127.0.0.1:${port}` });
    const { body } = await json(`${tier.url}/try-datastore`);
    assert.deepEqual(body, {
      asked: 'http://datastore.datastore-ns/photos',
      status: 403,
      body: 'RBAC: access denied',
    });
    assert.equal(asked[0]?.url, 'http://datastore.datastore-ns/photos');
    assert.equal(asked[0]?.headers.host, 'datastore.datastore-ns');
  });

  test('answers 502 when the next tier is not there', async (t) => {
    const tier = await started(t, 'backend', { DATASTORE_URL: 'http://127.0.0.1:1' });
    const { status, body } = await json(`${tier.url}/photos`);
    assert.equal(status, 502);
    assert.match((body as { error: string }).error, /the datastore does not answer/);
  });

  test('ends with 0 when it is asked to, and keeps its photos in the file it was given', async (t) => {
    const env = { DATABASE: join(temporaryDirectory(t), 'photos.db') };
    const first = await started(t, 'datastore', env);
    const photo = JSON.stringify({ title: 'Kept', author: 'Ines' });
    assert.equal((await json(`${first.url}/photos`, post(photo))).status, 201);
    await first.process.stop();
    assert.deepEqual(first.process.exit, { code: 0, signal: null });
    const second = await started(t, 'datastore', env);
    const { body } = await json(`${second.url}/photos`);
    const titles = (body as { title: string }[]).map(({ title }) => title);
    assert.equal(titles.length, 7);
    assert.equal(titles.at(-1), 'Kept');
  });

  test('ends with an error when its port is taken', async (t) => {
    const { url } = await started(t, 'datastore');
    const second = startTier('datastore', { PORT: new URL(url).port });
    await assert.rejects(second, /EADDRINUSE/);
  });
});
