// The objects of the page about external authorization do what the page says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { startHttpAuthorizer } from '../kit/authorizer-service.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { accountsYaml, workloadOf } from '../kit/mesh-objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const PAGE = new URL('../../docs/guide/external-authorization.md', import.meta.url);
/** The port of the provider on the page. */
const PAGE_PORT = '19000';

test('the guide on external authorization', { timeout: 240_000 }, async (t) => {
  const text = readFileSync(PAGE, 'utf8');
  const [provider = '', asking = '', audit = ''] = [
    ...text.matchAll(/^```yaml\n([\s\S]*?)^```/gm),
  ].map(([, yaml]) => yaml ?? '');
  const authorizer = await startHttpAuthorizer(t);
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(accountsYaml('shop', 'web'));
  const ports = [{ name: 'http', port: await startEchoApp(t, 'web') }];
  const status = await mesh.startAgent('web', {
    workloads: [workloadOf('web', { app: { ports } })],
  });
  const client = new KeepAliveClient({ port: (await status('web')).ports.inbound[0]?.listen ?? 0 });
  t.after(() => client.close());
  const ask = (target: string, method = 'GET') => client.ask({ target, method });

  await mesh.apply(provider.replace(PAGE_PORT, `${authorizer.port}`));
  authorizer.verdict = ({ headers }) =>
    headers.cookie === 'good' ? { status: 200 } : { status: 302, headers: { location: '/login' } };
  await waitUntil(async () => {
    await mesh.apply(asking).catch(() => undefined);
    return (await ask('/orders/1')).status === 302;
  }, 'the provider is asked');
  assert.equal((await ask('/')).status, 200);
  assert.match(authorizer.questions[0]?.path ?? '', /^\/check\/orders\/1/);

  await mesh.apply(audit);
  await waitUntil(async () => {
    await ask('/cart', 'DELETE');
    return mesh.agentLines('web').some((line) => /shop\/deletions.*audited by policy/.test(line));
  }, 'the deletion is recorded');
});
