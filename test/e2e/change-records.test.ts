// What is as grave as a change of an object is recorded as one: tokens of accounts, certificates of
// people, steps to another root. Who, when and what; never the token.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ChangeRecord } from '#admin/audit.ts';
import { ADMIN_PATHS } from '#admin/contract.ts';
import { accountsYaml } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';

test('tokens, certificates of users and steps of a rotation are recorded', async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer('--root-rotation', 'manual');
  await mesh.apply(accountsYaml('shop', 'web'));
  const { status } = (await mesh.api.expect({
    method: 'POST',
    path: '/api/v1/namespaces/shop/serviceaccounts/web/token',
    body: { spec: { audiences: ['istio-ca'], expirationSeconds: 600 } },
  })) as { readonly status: { readonly token: string } };
  const out = join(mesh.directory, 'ana.kubeconfig');
  await mesh.command('user', 'create', 'ana', '--group', 'team1', '--out', out);
  const body = { step: 'prepare', leaveBehind: [] };
  await mesh.api.expect({ method: 'POST', path: ADMIN_PATHS.roots, body });

  const log = async (of: string) => (await mesh.command('audit-log', of, '-o', 'json')).trim();
  const text = `${await log('--changes')}\n${await log('--tokens')}`;
  assert.ok(!text.includes(status.token), 'the token is not recorded');
  const records = text.split('\n').map((line) => JSON.parse(line) as ChangeRecord);
  const told = (kind: string) =>
    records.find((one) => one.kind === kind) ?? assert.fail(`nothing of ${kind}`);
  const token = told('TokenRequest');
  assert.equal(`${token.user} ${token.namespace}/${token.name}`, 'bulwark-admin shop/web');
  assert.match(JSON.stringify(token.fields), /istio-ca/);
  const user = told('UserCertificate');
  assert.equal(`${user.user} ${user.verb} ${user.name}`, 'bulwark-admin create ana');
  assert.match(JSON.stringify(user.fields), /team1/);
  const step = told('RootRotation');
  assert.equal(`${step.user} ${step.verb}`, 'bulwark-admin update');
  assert.match(JSON.stringify(step.fields), /prepared/);
});
