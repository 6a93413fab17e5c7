// A server below another one renews its authority again and again while something is revoked, so
// that every peer checks lists: no handshake fails for want of the list of a new authority.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CertificateCaller } from '../kit/certificate-caller.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { accountsYaml, serviceYaml, strictYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { startBelow } from '../kit/server-below.ts';
import { waitUntil } from '../kit/wait-until.ts';

const RENEWALS = 4;
/** So many that some of them meet the moment in which another authority signs. */
const CALLERS = 6;

test('authorities of a site come and go, and no handshake fails', {
  timeout: 240_000,
}, async (t) => {
  const above = new RealMesh(t);
  const below = new RealMesh(t);
  const authorities = ['--intermediate-authorities', 'istio-system/edge'];
  await above.startServer(...authorities, '--intermediate-cert-ttl', '20s');
  await startBelow(below, above);
  const objects = [accountsYaml('shop', 'web'), serviceYaml('shop', 'web'), strictYaml('shop')];
  await above.apply(yamlOf(...objects));
  const app = { ports: [{ name: 'http', port: await startEchoApp(t, 'web') }] };
  const web = await above.startAgent('web', {
    workloads: [workloadOf('web', { group: 'web', app })],
  });
  const port = (await web('web')).ports.inbound[0]?.listen ?? 0;
  const caller = await CertificateCaller.connect(below.data);
  t.after(() => caller.close());
  const call = async () => {
    const certificate = await caller.certificate();
    return callPeer({ port, certificate, data: httpRequest('/') });
  };
  await waitUntil(async () => statusOf(await call()) === 200, 'the first answer');
  await above.command('cert', 'revoke', '--serial', 'ab12');
  const hasLists = async () => (await above.metric('bulwark_ca_crl_next_update_timestamp')) > 0;
  await waitUntil(hasLists, 'lists go out');

  const issued = () => above.metric('bulwark_ca_intermediates_issued_total');
  const end = (await issued()) + RENEWALS;
  const failures: string[] = [];
  let count = 0;
  let isOver = false;
  const callers = Array.from({ length: CALLERS }, async () => {
    while (!isOver) {
      const answer = await call();
      count += 1;
      if (statusOf(answer) !== 200) failures.push(`${count}: ${answer.error} ${answer.text}`);
    }
  });
  try {
    const isRenewed = async () => (await issued()) >= end;
    await waitUntil(isRenewed, 'renewals', { withinMs: 120_000, everyMs: 500 });
  } finally {
    isOver = true;
    await Promise.all(callers);
  }
  assert.equal(await above.metric('bulwark_ca_crl_missing_issuers'), 0);
  assert.deepEqual(failures, []);
  assert.ok(count > 50, `${count} handshakes`);
});
