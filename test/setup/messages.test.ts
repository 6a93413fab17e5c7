// Typed messages are generated once for each Envoy, from the descriptors that its binary carries.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { descriptorsInBinary } from '../../tools/setup/descriptors.js';
import { ensureMessages } from '../../tools/setup/messages.js';
import { setup } from '../../tools/setup/setup.js';
import { type SetupCheckout, setupCheckout } from './checkout.ts';

const REPOSITORY = new URL('../..', import.meta.url).pathname;

const ensure = (checkout: SetupCheckout, node: string, sha256 = 'a'): Promise<boolean> => {
  const { root, env, report } = checkout;
  const envoy = { path: '/nowhere/envoy', version: '1.40.0', sha256 };
  return ensureMessages({ root, env, report, envoy, node });
};

/** A Node that makes one file instead of running the generator, and counts. */
const GENERATOR = `
const fs = require('node:fs');
const target = process.argv[4];
fs.mkdirSync(target + '/envoy-api');
fs.writeFileSync(target + '/envoy-api/made.js', 'made');
fs.appendFileSync(__filename + '.calls', 'x');
`;

describe('the messages', () => {
  test('are generated once for an Envoy, and a second checkout copies them', async (t) => {
    const one = setupCheckout(t);
    const node = one.addCommand('node', GENERATOR);
    assert.equal(await ensure(one, node), true);
    assert.equal(await ensure(one, node), false);
    const two = { ...setupCheckout(t), env: one.env };
    assert.equal(await ensure(two, node), true);
    assert.equal(readFileSync(join(two.root, 'gen/envoy-api/made.js'), 'utf8'), 'made');
    assert.equal(readFileSync(`${node}.calls`, 'utf8'), 'x');
  });

  test('are generated anew for another Envoy, another .proto file or another list', async (t) => {
    const checkout = setupCheckout(t);
    const node = checkout.addCommand('node', GENERATOR);
    await ensure(checkout, node);
    assert.equal(await ensure(checkout, node, 'b'), true);
    for (const name of ['proto/istio/v1/auth/ca.proto', 'tools/setup/roots.js']) {
      appendFileSync(join(checkout.root, name), '\n');
      assert.equal(await ensure(checkout, node, 'b'), true, name);
    }
  });

  test('that cannot be generated leave nothing behind, and the message names the Envoy', async (t) => {
    const checkout = setupCheckout(t);
    const node = checkout.addCommand('node', "console.error('no root'); process.exit(1);");
    await assert.rejects(ensure(checkout, node), {
      message: /generating messages failed: no root\n.*\/nowhere\/envoy.*unset BULWARK_ENVOY/,
    });
    assert.equal(existsSync(join(checkout.root, 'gen/.key')), false);
    assert.equal(await ensure(checkout, checkout.addCommand('node', GENERATOR)), true);
  });
});

describe('descriptors in a binary', () => {
  const file = (name: string, dependency: string[] = []) =>
    create(FileDescriptorProtoSchema, { name, package: 'a.b', syntax: 'proto3', dependency });
  const bytes = (descriptor: FileDescriptorProto) =>
    toBinary(FileDescriptorProtoSchema, descriptor);
  const noise = Buffer.from('\x00\x07text about x.proto and y.proto\xff\x0a', 'latin1');

  test('are found among other bytes, whole', () => {
    const first = file('a/b/first.proto', ['a/b/second.proto']);
    const second = file('a/b/second.proto');
    const binary = Buffer.concat([noise, bytes(first), noise, noise, bytes(second), noise]);
    const found = descriptorsInBinary(binary);
    assert.deepEqual([...found.keys()], ['a/b/first.proto', 'a/b/second.proto']);
    assert.deepEqual(found.get('a/b/first.proto')?.dependency, ['a/b/second.proto']);
    assert.equal(found.get('a/b/second.proto')?.syntax, 'proto3');
  });

  test('are not made out of file names that stand in other text', () => {
    assert.equal(descriptorsInBinary(Buffer.concat([noise, noise])).size, 0);
    assert.equal(descriptorsInBinary(Buffer.from('.proto')).size, 0);
  });
});

describe('a second set-up', () => {
  test('starts no command, reports nothing and says that there is nothing to do', async () => {
    const reported: string[] = [];
    const known = JSON.parse(readFileSync(join(REPOSITORY, 'gen/envoy.json'), 'utf8'));
    const { summary, envoy } = await setup({
      root: REPOSITORY,
      report: (line) => reported.push(line),
      env: { ...process.env, PATH: '', BULWARK_ENVOY: known.path },
    });
    assert.match(summary, /^nothing to do, \d+ ms$/);
    assert.deepEqual(reported, []);
    assert.equal(envoy.sha256, known.sha256);
  });
});
