import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { describeError, isBulwarkError } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import { readUpstreamCredential } from '#ca/upstream/upstream-credential.ts';
import { makeAuthority, makeLeaf } from '../../../test/kit/authority-chain.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const failed = (pattern: RegExp) => (error: unknown) => {
  assert.ok(isBulwarkError(error, 'CA_UPSTREAM_FAILED'), String(error));
  assert.match(describeError(error), pattern);
  return true;
};

function setUp(t: TestContext) {
  const folder = join(temporaryDirectory(t), 'edge');
  mkdirSync(folder);
  const root = makeAuthority();
  const write = (name: string, text: string): void =>
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  const writePair = () => {
    const leaf = makeLeaf(root, { uris: ['spiffe://cluster.local/ns/sites/sa/edge'] });
    write('key.pem', leaf.privateKeyPem);
    write('cert-chain.pem', `${leaf.pem}${root.pem}`);
    return leaf;
  };
  const read = () => readUpstreamCredential({ tokenFile: undefined, certificates: folder });
  return { folder, write, writePair, read };
}

describe('what proves a server to the one above', () => {
  it('is the token in the file, as it is now', async (t) => {
    const { folder, write } = setUp(t);
    const tokenFile = join(folder, 'token');
    const read = () => readUpstreamCredential({ tokenFile, certificates: undefined });
    await assert.rejects(read(), failed(/cannot read/));
    for (const token of ['a.b.c', 'd.e.f']) {
      write('token', `${token}\n`);
      const found = await read();
      assert.ok(found instanceof Secret);
      assert.equal(found.reveal(), token);
    }
    write('token', ' \n');
    await assert.rejects(read(), failed(/is empty/));
    chmodSync(tokenFile, 0o644);
    await assert.rejects(read(), failed(/mode 0644/));
  });

  it('is the certificate that an agent keeps fresh, with its key', async (t) => {
    const { writePair, read } = setUp(t);
    for (let turn = 0; turn < 2; turn += 1) {
      const leaf = writePair();
      const found = await read();
      assert.ok(!(found instanceof Secret));
      assert.ok(found.chainPem.startsWith(leaf.pem));
      assert.equal(found.privateKeyPem.reveal(), leaf.privateKeyPem);
    }
  });

  it('is nothing when files are missing, open to others, or of two certificates', async (t) => {
    const { folder, write, writePair, read } = setUp(t);
    await assert.rejects(read(), failed(/cannot read/));
    const { privateKeyPem } = writePair();
    writePair();
    write('key.pem', privateKeyPem);
    await assert.rejects(read(), failed(/do not belong together/));
    write('cert-chain.pem', 'garbage');
    await assert.rejects(read(), failed(/do not belong together/));
    writePair();
    chmodSync(join(folder, 'key.pem'), 0o640);
    await assert.rejects(read(), failed(/mode 0640/));
  });
});
