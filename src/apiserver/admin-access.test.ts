import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { ensureAdminKubeconfig } from '#apiserver/admin-access.ts';
import { loadClientAuthority } from '#apiserver/client-authority.ts';
import { isBulwarkError } from '#base/errors.ts';
import { systemRandom } from '#base/random.ts';
import { readKubeconfig } from '#kubeclient/kubeconfig.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const DAY_MS = 24 * 3600 * 1000;
const clock = new FakeClock(Date.now());
const deps = { clock, random: systemRandom };

it('makes an authority once, for the owner only, and finds it again', async (test) => {
  const directory = temporaryDirectory(test);
  const made = await loadClientAuthority(directory, deps);
  for (const name of readdirSync(directory)) {
    assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
  }
  const found = await loadClientAuthority(directory, deps);
  assert.equal(found.certificate, made.certificate);
  const { certificate } = found.issue({ user: 'u', groups: ['g'], validDays: 1 });
  assert.ok(made.vouchesFor(certificate, 0));
});

it('signs certificates for clients only, that name user and group', async (test) => {
  const authority = await loadClientAuthority(temporaryDirectory(test), deps);
  const issued = authority.issue({ user: 'ada', groups: ['dev'], validDays: 1 });
  const leaf = new X509Certificate(issued.certificate);
  assert.equal(leaf.subject, 'O=dev\nCN=ada');
  assert.equal(leaf.ca, false);
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  assert.ok(leaf.checkIssued(new X509Certificate(authority.certificate)));
  assert.equal(String(issued.key), '[redacted]');
});

it('does not vouch for what another authority signed, or what is about to end', async (test) => {
  const [one, other] = [
    await loadClientAuthority(temporaryDirectory(test), deps),
    await loadClientAuthority(temporaryDirectory(test), deps),
  ];
  const { certificate } = one.issue({ user: 'u', groups: ['g'], validDays: 10 });
  assert.equal(one.vouchesFor(certificate, 9), true);
  assert.equal(one.vouchesFor(certificate, 11), false);
  assert.equal(other.vouchesFor(certificate, 0), false);
  assert.equal(one.vouchesFor('no certificate', 0), false);
});

it('says what to do when key and certificate do not fit', async (test) => {
  const [directory, elsewhere] = [temporaryDirectory(test), temporaryDirectory(test)];
  await loadClientAuthority(directory, deps);
  await loadClientAuthority(elsewhere, deps);
  const certificate = readFileSync(join(elsewhere, 'api-clients.crt'));
  writeFileSync(join(directory, 'api-clients.crt'), certificate);
  await assert.rejects(loadClientAuthority(directory, deps), (error) =>
    isBulwarkError(error, 'CLIENT_CA_UNUSABLE'),
  );
});

it('writes a kubeconfig, keeps its credentials, and follows the address of the server', async (test) => {
  const directory = temporaryDirectory(test);
  const authority = await loadClientAuthority(directory, deps);
  const path = join(directory, 'admin.kubeconfig');
  const access = { path, server: 'https://127.0.0.1:1', serverCa: 'PEM' };
  assert.equal(await ensureAdminKubeconfig(access, authority), true);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const first = await readKubeconfig(path);
  assert.equal(first.server, 'https://127.0.0.1:1');
  assert.equal(first.certificateAuthority, 'PEM');
  assert.ok(authority.vouchesFor(first.clientCertificate ?? '', 300));
  assert.equal(await ensureAdminKubeconfig(access, authority), false);
  const moved = { ...access, server: 'https://127.0.0.1:2' };
  assert.equal(await ensureAdminKubeconfig(moved, authority), true);
  const second = await readKubeconfig(path);
  assert.equal(second.server, 'https://127.0.0.1:2');
  assert.equal(second.clientCertificate, first.clientCertificate);
});

it('replaces credentials that end soon, are of another authority, or are lost', async (test) => {
  const directory = temporaryDirectory(test);
  const authority = await loadClientAuthority(directory, deps);
  const path = join(directory, 'admin.kubeconfig');
  const access = { path, server: 'https://127.0.0.1:1', serverCa: 'PEM' };
  const certificate = async (): Promise<string> =>
    (await readKubeconfig(path)).clientCertificate ?? '';
  await ensureAdminKubeconfig(access, authority);
  const first = await certificate();
  clock.jump(300 * DAY_MS);
  await ensureAdminKubeconfig(access, authority);
  const second = await certificate();
  assert.notEqual(second, first);
  clock.jump(-300 * DAY_MS);
  const other = await loadClientAuthority(temporaryDirectory(test), deps);
  await ensureAdminKubeconfig(access, other);
  assert.ok(other.vouchesFor(await certificate(), 0));
  writeFileSync(path, '{{{', { mode: 0o600 });
  await ensureAdminKubeconfig(access, other);
  assert.ok(other.vouchesFor(await certificate(), 0));
  rmSync(path);
  assert.equal(await ensureAdminKubeconfig(access, other), true);
});
