import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { ADMIN_PATHS } from '#admin/contract.ts';
import { loadClientAuthority } from '#apiserver/client-authority.ts';
import type { ClientChange } from '#apiserver/resource-context.ts';
import { recordOfChange } from '#audit/object-change.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { userActions } from '#controlplane/user-certificates.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const { publicKey } = generateKeyPair();
const pem = String(publicKey.export({ type: 'spki', format: 'pem' }));
const REQUEST = { user: 'ana', groups: ['team1', 'on call'], publicKey: pem, validDays: 30 };
const deps = { clock: new FakeClock(Date.now()), random: systemRandom };

const CALLER = { username: 'admin', groups: ['ops'] };

async function ask(t: TestContext, body: unknown) {
  const authority = await loadClientAuthority(temporaryDirectory(t), deps);
  const changes: ClientChange[] = [];
  const onChange = (change: ClientChange): void => void changes.push(change);
  const actions = userActions({ authority, log: silentLogger, onChange });
  const outcome = await actions[ADMIN_PATHS.users]?.(body, CALLER);
  assert.ok(outcome);
  return { authority, changes, ...outcome };
}

describe('a certificate of a user', () => {
  it('is for the key that was sent, with name and groups, and ends in time', async (t) => {
    const { authority, code, body } = await ask(t, REQUEST);
    assert.equal(code, 200);
    const { certificate } = body as { certificate: string };
    const found = new X509Certificate(certificate);
    assert.equal(found.subject, 'O=team1\nO=on call\nCN=ana');
    assert.ok(publicKey.equals(found.publicKey));
    assert.equal(authority.vouchesFor(certificate, 29), true);
    assert.equal(authority.vouchesFor(certificate, 30), false);
    assert.deepEqual(found.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  });

  it('is told with who made it and for whom; what was refused is not', async (t) => {
    const { changes, body } = await ask(t, REQUEST);
    const { serialNumber } = new X509Certificate((body as { certificate: string }).certificate);
    assert.equal(changes.length, 1);
    const told = changes[0] && recordOfChange(changes[0], 0);
    assert.equal(told?.user, 'admin');
    assert.equal(`${told?.verb} ${told?.kind} ${told?.name}`, 'create UserCertificate ana');
    assert.ok(JSON.stringify(told?.fields).includes(serialNumber.toLowerCase()));
    assert.deepEqual((await ask(t, { ...REQUEST, user: 'system:x' })).changes, []);
  });

  it('is for nobody of the system, and for no name that could be taken for another', async (t) => {
    const long = 'x'.repeat(65);
    const hidden = ['an\u200ba', '\u202eana', 'an\u00ada', 'a\u009b1m', '\ud800'];
    const wrong = ['system:masters', 'system:x', '', ' a', 'a\n', 'a\u0000b', long, 7, null];
    for (const name of [...wrong, ...hidden]) {
      const asUser = await ask(t, { ...REQUEST, user: name });
      assert.equal(asUser.code, 400, `user ${String(name)}`);
      const asGroup = await ask(t, { ...REQUEST, groups: ['team1', name] });
      assert.equal(asGroup.code, 400, `group ${String(name)}`);
    }
  });

  it('is refused for anything but a good key, a list of groups and a bounded time', async (t) => {
    const small = generateKeyPair('RSA-2048').privateKey.export({ type: 'pkcs8', format: 'pem' });
    for (const change of [
      { publicKey: undefined },
      { publicKey: 'x' },
      { publicKey: pem + pem },
      { publicKey: String(small) },
      { groups: 'team1' },
      { groups: Array.from({ length: 33 }, () => 'g') },
      ...[0, -1, 366, 1.5, '30', null, Number.NaN].map((validDays) => ({ validDays })),
    ])
      assert.equal((await ask(t, { ...REQUEST, ...change })).code, 400, JSON.stringify(change));
    assert.equal((await ask(t, null)).code, 400);
    assert.equal((await ask(t, 'x')).code, 400);
  });
});
