import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { choosePorts, writeAddresses } from '#controlplane/addresses.ts';
import { DataFolder } from '#controlplane/data-folder.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

describe('the data folder', () => {
  it('is made for the owner only', async (t) => {
    const path = join(temporaryDirectory(t), 'data');
    const folder = new DataFolder(path);
    await folder.open();
    folder.close();
    assert.equal(statSync(path).mode & 0o777, 0o700);
  });

  it('serves one server at a time', async (t) => {
    const path = temporaryDirectory(t);
    const first = new DataFolder(path);
    await first.open();
    await assert.rejects(
      new DataFolder(path).open(),
      (error) => isBulwarkError(error, 'FILES_UNWRITABLE') && /another server/.test(error.message),
    );
    first.close();
    const second = new DataFolder(path);
    await second.open();
    second.close();
  });

  it('is rid of what a crash left half written, and of nothing else', async (t) => {
    const path = temporaryDirectory(t);
    const folder = new DataFolder(path);
    const names = ['.0123456789ab.tmp', '.0123456789ab.tmp.bak', '.x.tmp', 'ca-key.pem'];
    mkdirSync(folder.paths.ca);
    for (const name of names) writeFileSync(join(folder.paths.ca, name), 'PRIVATE KEY');
    await folder.open();
    folder.close();
    assert.deepEqual(readdirSync(folder.paths.ca), names.slice(1));
  });

  it('that is a file is refused', async (t) => {
    const path = join(temporaryDirectory(t), 'file');
    writeFileSync(path, '');
    await assert.rejects(new DataFolder(path).open(), (e) => isBulwarkError(e, 'FILES_UNWRITABLE'));
  });
});

describe('ports', () => {
  const host = '127.0.0.1';
  const any = { api: 0, secure: 0, monitoring: 0 };
  const kept = { api: 0, secure: 0, monitoring: 0 };

  async function withPort(port: number, use: (port: number) => Promise<void>): Promise<void> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen({ port, host }, resolve));
    try {
      await use((server.address() as { port: number }).port);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  }

  async function addressesFile(directory: string, api: number): Promise<string> {
    const file = join(directory, 'addresses.json');
    const ports = { ...kept, api };
    await writeAddresses(file, { api: 'https://x', discovery: 'x', monitoring: 'x', ports });
    return file;
  }

  it('of the last run are taken again when they are free', async (t) => {
    const directory = temporaryDirectory(t);
    let free = 0;
    await withPort(0, async (port) => {
      free = port;
    });
    const file = await addressesFile(directory, free);
    assert.equal((await choosePorts(any, { file, host }, silentLogger)).api, free);
  });

  it('of the last run that are taken are chosen anew', async (t) => {
    const directory = temporaryDirectory(t);
    await withPort(0, async (port) => {
      const file = await addressesFile(directory, port);
      assert.equal((await choosePorts(any, { file, host }, silentLogger)).api, 0);
    });
  });

  it('that were asked for win, and a damaged file does no harm', async (t) => {
    const file = join(temporaryDirectory(t), 'addresses.json');
    writeFileSync(file, '{"ports": [');
    const wanted = { api: 6443, secure: 15012, monitoring: 0 };
    assert.deepEqual(await choosePorts(wanted, { file, host }, silentLogger), wanted);
  });
});
