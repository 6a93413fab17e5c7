import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxiesView } from '#controlplane/proxies-view.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { adsHarness, nodeMessage, settle } from '../../test/kit/ads-harness.ts';

// Proves what administrators see of proxies that are behind.

test('a proxy for which nothing can be made is told with the reason, and keeps what it took', async () => {
  const { server, set, failWith, connect } = adsHarness();
  set({ listener: 'l1' });
  const proxy = await connect({ node: nodeMessage('web') });
  proxy.subscribe(TYPE_URL.listener);
  proxy.ackAll();
  const view = () => proxiesView(server.proxies()).proxies[0];
  assert.deepEqual([view()?.failure, view()?.types[0]?.state], [undefined, 'SYNCED']);
  failWith(new Error('a name is missing'));
  server.configChanged();
  await settle();
  assert.match(view()?.failure ?? '', /a name is missing/);
  assert.equal(view()?.types[0]?.state, 'SYNCED');
});

test('a refusal names the resource and says what Envoy said', async () => {
  const { server, set, connect } = adsHarness();
  set({ listener: 'l1' });
  const proxy = await connect({ node: nodeMessage('web') });
  proxy.subscribe(TYPE_URL.listener);
  proxy.nack(TYPE_URL.listener, 'no such port');
  const [type] = proxiesView(server.proxies()).proxies[0]?.types ?? [];
  assert.deepEqual([type?.state, type?.rejected, type?.error], ['REJECTED', ['l'], 'no such port']);
});
