import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runBulwark } from '../../../test/kit/bulwark.ts';

const SAMPLES = fileURLToPath(new URL('../../../samples/photo', import.meta.url));
const LINE = JSON.stringify({
  kind: 'access',
  peer: 'spiffe://cluster.local/ns/photo-ns/sa/photo-frontend',
  authority: 'datastore.datastore-ns',
  method: 'GET',
  path: '/',
  requested_server_name: 'outbound_.80_._.datastore.datastore-ns.svc.cluster.local',
  response_code_details: 'rbac_access_denied_matched_policy[none]',
});

test('what the log says is part of the answer, as text and as JSON', async () => {
  const args = ['explain', '-f', SAMPLES, '--access-log', LINE];
  const [text, json] = await Promise.all([runBulwark(args), runBulwark([...args, '-o', 'json'])]);
  assert.deepEqual([text.code, json.code], [3, 3]);
  assert.match(text.stdout, /^The log says: no ALLOW rule matched\n/);
  const { logSays, decisions } = JSON.parse(json.stdout);
  assert.equal(logSays, 'no ALLOW rule matched');
  assert.deepEqual(
    decisions.map((one: { decision: string }) => one.decision),
    ['deny'],
  );
});

test('a line that says too little is told what is missing', async () => {
  const ask = async (line: object) =>
    runBulwark(['explain', '-f', SAMPLES, '--access-log', JSON.stringify(line)]);
  const [nobody, nothing] = await Promise.all([
    ask({ direction: 'outbound', authority: 'datastore.datastore-ns' }),
    ask({ kind: 'access', path: '/' }),
  ]);
  assert.deepEqual([nobody.code, nothing.code], [64, 64]);
  assert.match(nobody.stderr, /the line does not say who called \(add --from and --to\)/);
  assert.match(nothing.stderr, /the line does not say what was called/);
});
