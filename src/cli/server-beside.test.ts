import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { serverBeside } from '#cli/server-beside.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

async function dataFolder(folder: string, server: string): Promise<string> {
  const kubeconfig = join(folder, 'admin.kubeconfig');
  const named = { name: 'bulwark' };
  const config = {
    'current-context': 'bulwark',
    contexts: [{ ...named, context: { cluster: 'bulwark', user: 'admin' } }],
    clusters: [{ ...named, cluster: { server } }],
    users: [{ name: 'admin', user: { token: 'not-a-real-token' } }],
  };
  const addresses = { api: 'https://127.0.0.1:6443', discovery: '127.0.0.1:15999' };
  await writeFile(kubeconfig, JSON.stringify(config));
  await writeFile(join(folder, 'addresses.json'), JSON.stringify(addresses));
  await writeFile(join(folder, 'root-cert.pem'), '');
  return kubeconfig;
}

test('the address and the root of a server are found beside its kubeconfig', async (t) => {
  const folder = temporaryDirectory(t);
  const kubeconfig = await dataFolder(folder, 'https://127.0.0.1:6443');
  assert.deepEqual(await serverBeside(kubeconfig), {
    discoveryAddress: '127.0.0.1:15999',
    caRoot: join(folder, 'root-cert.pem'),
  });
});

test('a kubeconfig of another server says nothing', async (t) => {
  const kubeconfig = await dataFolder(temporaryDirectory(t), 'https://127.0.0.1:7443');
  assert.deepEqual(await serverBeside(kubeconfig), {});
});

test('damaged or missing files say nothing', async (t) => {
  const folder = temporaryDirectory(t);
  const kubeconfig = await dataFolder(folder, 'https://127.0.0.1:6443');
  await writeFile(join(folder, 'addresses.json'), '{');
  assert.deepEqual(await serverBeside(kubeconfig), {});
  await dataFolder(folder, 'https://127.0.0.1:6443');
  await rm(join(folder, 'root-cert.pem'));
  assert.deepEqual(await serverBeside(kubeconfig), {});
  assert.deepEqual(await serverBeside(join(folder, 'none')), {});
  assert.deepEqual(await serverBeside(undefined), {});
});
