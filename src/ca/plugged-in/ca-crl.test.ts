// Revocation lists that come with a plugged-in authority: a wrong one would end every handshake.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type ChainAuthority, makeAuthority } from '../../../test/kit/authority-chain.ts';
import { isCaProblem, makeCaFiles, parseTestCa } from '../../../test/kit/ca-files.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const HOUR_MS = 3_600_000;

describe('the revocation lists of a plugged-in authority', () => {
  it('are handed on when an authority of the set has signed them', (t) => {
    const set = makeCaFiles();
    const [root] = set.authorities;
    const crl = makeCrl(t, root, 30);
    assert.equal(parseTestCa({ files: { ...set.files, crl } }).crlPem, crl);
    assert.equal(parseTestCa(set).crlPem, '');
  });

  it('are refused when they are garbage, of others, or out of date', (t) => {
    const set = makeCaFiles();
    const refuses = (crl: string, pattern: RegExp, at = Date.now()) =>
      assert.throws(() => parseTestCa({ files: { ...set.files, crl } }, at), isCaProblem(pattern));
    refuses('x', /failed to parse certificate revocation list \(ca-crl.pem/);
    refuses(set.files.root ?? '', /failed to parse certificate revocation list/);
    refuses(makeCrl(t, makeAuthority(), 30), /none of the authorities has signed/);
    const [root] = set.authorities;
    refuses(makeCrl(t, root, 1), /out of date since/, Date.now() + 48 * HOUR_MS);
  });
});

/** A list by the `openssl` command, with one serial on it. */
function makeCrl(t: TestContext, { pem, keys }: ChainAuthority, days: number): string {
  const directory = temporaryDirectory(t);
  const path = (name: string): string => join(directory, name);
  writeFileSync(path('ca.pem'), pem);
  writeFileSync(path('key.pem'), keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(path('index'), 'R\t300101000000Z\t260101000000Z\t00AB\tunknown\t/CN=x\n');
  const config = `[ca]\ndefault_ca=a\n[a]\ndatabase=${path('index')}\ndefault_md=sha256\n`;
  writeFileSync(path('openssl.cnf'), config);
  const files = ['-config', path('openssl.cnf'), '-cert', path('ca.pem'), '-keyfile'];
  const args = ['ca', '-gencrl', ...files, path('key.pem'), '-crldays', String(days)];
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}
