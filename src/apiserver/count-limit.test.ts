import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { startApiServer } from '../../test/kit/api-server.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const REVOCATIONS = '/apis/bulwark.mesh/v1alpha1/certificaterevocations';
/** Divides the limit. Each opens a connection. */
const AT_ONCE = 25;

test('of a kind with a limit no more can be made, until one is deleted', async (t) => {
  const { admin } = await startApiServer(t, { directory: temporaryDirectory(t) });
  const make = (index: number) =>
    admin.post(REVOCATIONS, {
      apiVersion: 'bulwark.mesh/v1alpha1',
      kind: 'CertificateRevocation',
      metadata: { name: `r${index}` },
      spec: { serial: (index + 1).toString(16) },
    });
  for (let at = 0; at < LIMITS.revocationsMax; at += AT_ONCE) {
    const made = await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => make(at + index)));
    assert.deepEqual(new Set(made.map(({ status }) => status)), new Set([201]));
  }
  const refused = await make(LIMITS.revocationsMax);
  assert.equal(refused.status, 403);
  assert.match(refused.body.message, /there are 1000 already/);
  await admin.delete(`${REVOCATIONS}/r0`);
  assert.equal((await make(LIMITS.revocationsMax)).status, 201);
});
