// A list that a listchecker takes from elsewhere: the server fetches it, and Envoys follow it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { bulwark } from '../kit/bulwark.ts';
import { startKeyServer } from '../kit/key-server.ts';
import { startTokenMesh } from '../kit/token-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const objects = (url: string, rest = '') => `
apiVersion: config.istio.io/v1alpha2
kind: listchecker
metadata: { name: versions, namespace: shop }
spec: { providerUrl: "${url}", refreshInterval: 1s, ttl: 3s, overrides: [own]${rest} }
---
apiVersion: config.istio.io/v1alpha2
kind: listentry
metadata: { name: version, namespace: shop }
spec: { value: 'request.headers["authorization"] | "none"' }
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: { name: versions, namespace: shop }
spec: { actions: [{ handler: versions.listchecker, instances: [version.listentry] }] }
`;

test('a list from elsewhere is enforced', { timeout: 240_000 }, async (t) => {
  const provider = await startKeyServer(t);
  const { mesh, ask } = await startTokenMesh(t);
  const path = '/apis/config.istio.io/v1alpha2/namespaces/shop/listcheckers/versions';
  const said = async () => {
    const object = (await mesh.api.expect({ method: 'GET', path })) as { status?: IstioStatus };
    const found = object.status?.conditions?.find(({ type }) => type === 'Findings');
    return `${found?.reason}: ${found?.message}`;
  };
  const saying = (words: RegExp) =>
    waitUntil(async () => words.test(await said()), `the status says ${words}`);
  /** Tokens that nobody looks at: the header is just a header here. */
  const becomes = (token: string, status: number) =>
    waitUntil(async () => (await ask(token)).status === status, `${status} for ${token}`);
  const listed = (...tokens: readonly string[]) =>
    provider.serve('/list', tokens.map((token) => `Bearer ${token}`).join('\n'));

  await t.test('from the moment on that its rule counts', async () => {
    listed('a', 'b');
    await mesh.apply(objects(`${provider.url}/list`));
    await becomes('c', 403);
    // Before the list is there, nobody is on it.
    await becomes('a', 200);
    assert.equal((await ask('b')).status, 200);
    assert.equal((await ask()).status, 403);
    await saying(/Note: .*the list has 2 entries/);
  });

  await t.test('as bulwark can says', async () => {
    const can = (token: string) => {
      const to = ['--from', 'outside', '--to', 'shop/web', '--kubeconfig', mesh.kubeconfig];
      return bulwark(['can', ...to, '--header', `authorization: Bearer ${token}`]);
    };
    const [allowed, denied] = [can('a'), can('c')];
    await Promise.all([allowed.ended, denied.ended]);
    assert.equal(allowed.exit?.code, 0, allowed.tail());
    assert.equal(denied.exit?.code, 3, denied.tail());
  });

  await t.test('as it is now', async () => {
    listed('c');
    await becomes('c', 200);
    assert.equal((await ask('a')).status, 403);
  });

  await t.test(
    'while its provider says something else, or nothing, until its time is over',
    async () => {
      await provider.shut();
      await saying(/Warning: .*cannot be fetched.*its 1 entries count on/);
      assert.equal((await ask('c')).status, 200);
      await becomes('c', 403);
      await saying(/Error: .*the list is not there/);
      await provider.open();
      await becomes('c', 200);
    },
  );

  await t.test('as a blacklist, which denies everything while it is not there', async () => {
    await mesh.apply(objects(`${provider.url}/list`, ', blacklist: true'));
    await becomes('c', 403);
    await becomes('a', 200);
    await mesh.apply(objects(`${provider.url}/gone`, ', blacklist: true'));
    await becomes('a', 403);
    await saying(/Error: .*it answers 404/);
  });

  await t.test('but is never fetched from where the server must not ask', async () => {
    await mesh.apply(objects('http://169.254.169.254/latest/meta-data', ', blacklist: true'));
    await saying(/Error: .*169\.254\.169\.254 may not be asked/);
    assert.equal((await ask('a')).status, 403);
  });
});
