import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modeOfPort } from '#policy/authn/mtls-mode.ts';
import { mtlsOf } from '../../../test/kit/inbound-mtls.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const LABELS = { app: 'web', version: '1' };

function policy(namespace: string, name: string, spec: string, created = '') {
  const time = created === '' ? '' : `, creationTimestamp: '2026-01-01T00:00:0${created}Z'`;
  return objectsOf(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: ${name}, namespace: ${namespace}${time} }
spec: ${spec}
`);
}

function modeOf(policies: ReturnType<typeof policy>, port = 8080, namespace = 'shop') {
  return modeOfPort(mtlsOf(policies, { namespace, labels: LABELS }), port);
}

const MESH_STRICT = policy('istio-system', 'default', '{ mtls: { mode: STRICT } }');

test('with no policy both plaintext and mutual TLS are taken', () => {
  assert.equal(modeOf([]), 'PERMISSIVE');
});

test('the policy of the mesh counts everywhere, that of a namespace in it, that of a workload for it', () => {
  assert.equal(modeOf(MESH_STRICT), 'STRICT');
  const namespace = policy('shop', 'default', '{ mtls: { mode: PERMISSIVE } }');
  assert.equal(modeOf([...MESH_STRICT, ...namespace]), 'PERMISSIVE');
  assert.equal(modeOf([...MESH_STRICT, ...namespace], 8080, 'other'), 'STRICT');
  const workload = policy(
    'shop',
    'web',
    '{ selector: { matchLabels: { app: web } }, mtls: { mode: DISABLE } }',
  );
  assert.equal(modeOf([...MESH_STRICT, ...namespace, ...workload]), 'DISABLE');
});

test('an empty selector is no selector', () => {
  const empty = policy(
    'istio-system',
    'default',
    '{ selector: { matchLabels: {} }, mtls: { mode: STRICT } }',
  );
  assert.equal(modeOf(empty), 'STRICT');
});

test('a policy of the root namespace that selects workloads counts nowhere, as in Istio', () => {
  const selecting = policy(
    'istio-system',
    'web',
    '{ selector: { matchLabels: { app: web } }, mtls: { mode: STRICT } }',
  );
  assert.equal(modeOf(selecting), 'PERMISSIVE');
  assert.equal(modeOf(selecting, 8080, 'istio-system'), 'PERMISSIVE');
});

test('a policy for other labels says nothing', () => {
  const other = policy(
    'shop',
    'other',
    '{ selector: { matchLabels: { app: web, version: "2" } }, mtls: { mode: STRICT } }',
  );
  assert.equal(modeOf(other), 'PERMISSIVE');
});

test('what is unset comes from the level above', () => {
  for (const unset of ['{}', '{ mtls: {} }', '{ mtls: { mode: UNSET } }']) {
    assert.equal(modeOf([...MESH_STRICT, ...policy('shop', 'default', unset)]), 'STRICT', unset);
    assert.equal(modeOf(policy('istio-system', 'default', unset)), 'PERMISSIVE', unset);
  }
});

test('a port has a mode of its own only where a policy selects the workload', () => {
  const ports = 'portLevelMtls: { 9090: { mode: DISABLE }, 9091: {} }';
  const selecting = policy(
    'shop',
    'web',
    `{ selector: { matchLabels: { app: web } }, mtls: { mode: STRICT }, ${ports} }`,
  );
  assert.equal(modeOf(selecting, 9090), 'DISABLE');
  assert.equal(modeOf(selecting, 9091), 'STRICT');
  assert.equal(modeOf(selecting, 8080), 'STRICT');
  const general = policy('shop', 'default', `{ mtls: { mode: STRICT }, ${ports} }`);
  assert.equal(modeOf(general, 9090), 'STRICT');
});

test('of two policies on one level the oldest wins', () => {
  const strict = policy('shop', 'a', '{ mtls: { mode: STRICT } }', '2');
  const disable = policy('shop', 'b', '{ mtls: { mode: DISABLE } }', '1');
  assert.equal(modeOf([...strict, ...disable]), 'DISABLE');
});
