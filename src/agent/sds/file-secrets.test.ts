import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { FileSecrets } from '#agent/sds/file-secrets.ts';
import type { RepeatableSecret } from '#agent/sds/messages.ts';
import { createLogger } from '#base/log.ts';
import type { DataSource } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import { SecretSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';
import { testAuthority } from '../../../test/kit/test-authority.ts';

const authority = testAuthority();

function setUp(t: TestContext) {
  const folder = temporaryDirectory(t);
  const allowed = join(folder, 'allowed');
  mkdirSync(allowed);
  const logLines: string[] = [];
  const log = createLogger({ level: 'debug', sink: { write: (line) => logLines.push(line) } });
  const clock = new FakeClock();
  const changed: string[] = [];
  const wanted = new Set<string>();
  const files = new FileSecrets(
    {
      directories: [allowed],
      onChange: (name) => changed.push(name),
      isWanted: (name) => wanted.has(name),
    },
    { log, clock },
  );
  t.after(() => files.close());
  const find = (name: string): RepeatableSecret | undefined => {
    wanted.add(name);
    return files.find(name);
  };
  return { folder, allowed, files, find, clock, changed, wanted, logLines };
}

/** Writes it as careful programs do, so that its inode changes. */
function put(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

function bytesOf(source: DataSource | undefined): string {
  assert.ok(source?.specifier.case === 'inlineBytes');
  return Buffer.from(source.specifier.value).toString();
}

function rootsOf(found: RepeatableSecret | undefined): string {
  const { type } = fromBinary(SecretSchema, found?.encode('') ?? assert.fail('not found'));
  assert.ok(type.case === 'validationContext');
  return bytesOf(type.value.trustedCa);
}

describe('secrets in files', () => {
  it('are roots by their path, and nothing else that is in the file', (t) => {
    const { allowed, find } = setUp(t);
    const path = join(allowed, 'root.pem');
    const { privateKey } = authority.issue({ dnsNames: ['a'] });
    writeFileSync(path, `# our roots\n${authority.root}${privateKey}`);
    assert.equal(rootsOf(find(`file-root:${path}`)).trim(), authority.root.trim());
  });

  it('are a certificate and its key', (t) => {
    const { allowed, find } = setUp(t);
    const { certificate, privateKey } = authority.issue({ dnsNames: ['client'] });
    writeFileSync(join(allowed, 'cert.pem'), certificate);
    writeFileSync(join(allowed, 'key.pem'), privateKey);
    const name = `file-cert:${allowed}/cert.pem~${allowed}/key.pem`;
    const found = find(name) ?? assert.fail('not found');
    const secret = fromBinary(SecretSchema, found.encode(''));
    assert.equal(secret.name, name);
    assert.ok(secret.type.case === 'tlsCertificate');
    assert.equal(bytesOf(secret.type.value.certificateChain).trim(), certificate.trim());
    assert.equal(bytesOf(secret.type.value.privateKey), privateKey);
  });

  it('are refused when key and certificate do not fit', (t) => {
    const { allowed, find, logLines } = setUp(t);
    writeFileSync(join(allowed, 'cert.pem'), authority.issue({ dnsNames: ['a'] }).certificate);
    writeFileSync(join(allowed, 'key.pem'), authority.issue({ dnsNames: ['a'] }).privateKey);
    assert.equal(find(`file-cert:${allowed}/cert.pem~${allowed}/key.pem`), undefined);
    assert.match(logLines.join(), /not that of the certificate/);
  });

  it('are read in the named folders only, links followed', (t) => {
    const { folder, allowed, find, logLines } = setUp(t);
    const outside = join(folder, 'outside.pem');
    writeFileSync(outside, authority.root);
    symlinkSync(outside, join(allowed, 'link.pem'));
    mkdirSync(`${allowed}-too`);
    writeFileSync(join(`${allowed}-too`, 'root.pem'), authority.root);
    for (const path of [
      outside,
      join(allowed, 'link.pem'),
      `${allowed}/../outside.pem`,
      `${allowed}-too/root.pem`,
    ]) {
      assert.equal(find(`file-root:${path}`), undefined, path);
    }
    assert.equal(find('file-root:root.pem'), undefined);
    assert.match(logLines.join(), /in none of the folders of secretDirectories/);
    assert.match(logLines.join(), /not absolute/);
    writeFileSync(join(allowed, 'inside.pem'), authority.root);
    symlinkSync('inside.pem', join(allowed, 'inner.pem'));
    assert.ok(find(`file-root:${allowed}/inner.pem`));
  });

  it('are refused when they hold no certificate, are no file, or do not parse', (t) => {
    const { allowed, find } = setUp(t);
    writeFileSync(join(allowed, 'text'), 'root:x:0:0');
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    writeFileSync(join(allowed, 'broken'), `${authority.root}${broken}`);
    mkdirSync(join(allowed, 'folder'));
    for (const name of ['text', 'broken', 'folder', 'missing'])
      assert.equal(find(`file-root:${allowed}/${name}`), undefined, name);
    for (const name of ['other', 'file-cert:a', 'file-cert:a~b~c'])
      assert.equal(find(name), undefined, name);
  });

  it('follow their files: appear, change, and stay when the file goes bad', (t) => {
    const { allowed, find, clock, changed, logLines } = setUp(t);
    const path = join(allowed, 'root.pem');
    const name = `file-root:${path}`;
    assert.equal(find(name), undefined);
    clock.advance(2000);
    assert.deepEqual(changed, []);
    put(path, authority.root);
    clock.advance(2000);
    assert.deepEqual(changed, [name]);
    const other = testAuthority('other').root;
    put(path, other);
    clock.advance(2000);
    assert.equal(rootsOf(find(name)).trim(), other.trim());
    assert.equal(changed.length, 2);
    put(path, 'gone bad');
    clock.advance(4000);
    assert.equal(rootsOf(find(name)).trim(), other.trim());
    assert.equal(changed.length, 2);
    assert.equal(logLines.filter((line) => line.includes('last content stays')).length, 1);
  });

  it('are not read any more when nobody wants them', (t) => {
    const { allowed, find, clock, wanted } = setUp(t);
    writeFileSync(join(allowed, 'root.pem'), authority.root);
    find(`file-root:${allowed}/root.pem`);
    assert.equal(clock.waitingMs.length, 1);
    wanted.clear();
    clock.advance(2000);
    assert.equal(clock.waitingMs.length, 0);
  });

  it('include the roots of the system', (t) => {
    const { find } = setUp(t);
    assert.match(rootsOf(find('file-root:system')), /BEGIN CERTIFICATE/);
  });

  it('never show a key in the log', (t) => {
    const { allowed, find, logLines } = setUp(t);
    const { privateKey } = authority.issue({ dnsNames: ['a'] });
    writeFileSync(join(allowed, 'key.pem'), privateKey);
    chmodSync(join(allowed, 'key.pem'), 0o600);
    assert.equal(find(`file-root:${allowed}/key.pem`), undefined);
    assert.ok(!logLines.join().includes(privateKey.split('\n')[1] ?? 'none'));
  });
});
