import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { startApiServer } from '../../test/kit/api-server.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const REVOCATIONS = '/apis/bulwark.mesh/v1alpha1/certificaterevocations';
/** Does not divide the limit: some of the last come at once, too late. Each opens a connection. */
const AT_ONCE = 30;

test('of a kind with a limit no more can be made, until one is deleted', async (t) => {
  const { admin } = await startApiServer(t, { directory: temporaryDirectory(t) });
  const make = (index: number, query = '') =>
    admin.post(`${REVOCATIONS}${query}`, {
      apiVersion: 'bulwark.mesh/v1alpha1',
      kind: 'CertificateRevocation',
      metadata: { name: `r${index}` },
      spec: { serial: (index + 1).toString(16) },
    });
  const statuses: number[] = [];
  while (statuses.length < LIMITS.revocationsMax) {
    const indexes = Array.from({ length: AT_ONCE }, (_, index) => statuses.length + index);
    const made = await Promise.all(indexes.map((index) => make(index)));
    statuses.push(...made.map(({ status }) => status));
  }
  assert.equal(statuses.filter((status) => status === 201).length, LIMITS.revocationsMax);
  const [another, ...rest] = statuses.flatMap((status, index) => (status === 201 ? [] : [index]));
  assert.ok(another !== undefined && rest.every((index) => statuses[index] === 403));
  for (const query of ['', '?dryRun=All']) {
    const refused = await make(another, query);
    assert.equal(refused.status, 403);
    assert.match(refused.body.message, /there are 1000 already, which is the limit; delete some/);
  }
  await admin.delete(`${REVOCATIONS}/r${statuses.indexOf(201)}`);
  assert.equal((await make(another)).status, 201);
});
