import assert from 'node:assert/strict';
import test from 'node:test';
import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import { isBulwarkError } from '#base/errors.ts';
import { NodeSchema } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { parseProxyNode } from './node-metadata.ts';

const caller = {
  identity: parseSpiffeId('spiffe://cluster.local/ns/photo-ns/sa/web'),
  namespace: 'photo-ns',
  serviceAccount: 'web',
};
const ID = 'sidecar~10.0.0.7~web.v1.photo-ns~photo-ns.svc.cluster.local';
const METADATA = {
  NAME: 'web.v1',
  NAMESPACE: 'photo-ns',
  SERVICE_ACCOUNT: 'web',
  LABELS: { app: 'web' },
  INSTANCE_IPS: '10.0.0.7,fd00::7',
};
const PORTS = {
  inboundAddress: '127.0.0.1',
  inbound: [{ name: 'http', port: 8080, listen: 30_001 }],
  httpProxyPort: 30_000,
  upstreams: [{ host: 'db.data-ns', port: 5432, listen: 30_002 }],
};

function parse(metadata: JsonObject, node: MessageInitShape<typeof NodeSchema> = {}) {
  const message = create(NodeSchema, { id: ID, ...node });
  message.metadata = { ...METADATA, ...metadata };
  return parseProxyNode(message, caller);
}

test('a node of a redirected proxy', () => {
  const node = parse(
    { AUTO_REGISTER_GROUP: 'web', UNKNOWN: { is: ['left', 'alone'] } },
    {
      userAgentVersionType: {
        case: 'userAgentBuildVersion',
        value: { version: { majorNumber: 1, minorNumber: 40, patch: 0 } },
      },
    },
  );
  assert.deepEqual(node, {
    nodeId: ID,
    ...caller,
    workloadName: 'web.v1',
    labels: { app: 'web' },
    addresses: ['10.0.0.7', 'fd00::7'],
    interception: 'redirect',
    group: 'web',
    agentSocket: undefined,
    holdSocket: undefined,
    explicit: undefined,
    envoyVersion: '1.40.0',
  });
});

test('a node whose agent can be asked', () => {
  const path = '/run/bulwark/web/sds.sock';
  assert.equal(parse({ BULWARK_AGENT_SOCKET: path }).agentSocket, path);
  assert.equal(parse({ BULWARK_HOLD_SOCKET: path }).holdSocket, path);
});

test('a node in explicit mode', () => {
  const node = parse({ INTERCEPTION_MODE: 'NONE', BULWARK_EXPLICIT: PORTS });
  assert.equal(node.interception, 'explicit');
  assert.deepEqual(node.explicit, PORTS);
  assert.equal(node.group, undefined);
  assert.equal(node.envoyVersion, '');
});

test('labels and addresses may be absent', () => {
  const message = create(NodeSchema, { id: ID });
  const { NAME, NAMESPACE, SERVICE_ACCOUNT } = METADATA;
  message.metadata = { NAME, NAMESPACE, SERVICE_ACCOUNT };
  const node = parseProxyNode(message, caller);
  assert.deepEqual(node.labels, {});
  assert.deepEqual(node.addresses, ['10.0.0.7']);
});

test('whatever contradicts the certificate is a mismatch', () => {
  const mismatch = (error: unknown) => isBulwarkError(error, 'XDS_IDENTITY_MISMATCH');
  assert.throws(() => parse({ NAMESPACE: 'data-ns' }), mismatch);
  assert.throws(() => parse({ SERVICE_ACCOUNT: 'root' }), mismatch);
  const id = 'sidecar~10.0.0.7~web.data-ns~data-ns.svc.cluster.local';
  assert.throws(() => parse({}, { id }), mismatch);
});

test('what is malformed is refused with the name of the field', () => {
  const explicit = (ports: JsonObject) => ({
    INTERCEPTION_MODE: 'NONE',
    BULWARK_EXPLICIT: { ...PORTS, ...ports },
  });
  const cases: readonly [JsonObject, string][] = [
    [{ NAME: '' }, 'metadata.NAME'],
    [{ NAME: 7 }, 'metadata.NAME'],
    [{ NAME: 'x'.repeat(400) }, 'metadata.NAME'],
    [{ NAME: 'web\nok' }, 'metadata.NAME'],
    [{ NAME: 'web\u001b[2J' }, 'metadata.NAME'],
    [{ LABELS: { app: 'web\u009b2J' } }, 'metadata.LABELS'],
    [{ LABELS: { 'a\0b': '' } }, 'metadata.LABELS'],
    [{ NAMESPACE: null }, 'metadata.NAMESPACE'],
    [{ LABELS: ['a'] }, 'metadata.LABELS'],
    [{ LABELS: { a: 1 } }, 'metadata.LABELS'],
    [
      { LABELS: Object.fromEntries(Array.from({ length: 129 }, (_, n) => [n, ''])) },
      'metadata.LABELS',
    ],
    [{ INSTANCE_IPS: '10.0.0.7,' }, 'metadata.INSTANCE_IPS'],
    [{ INSTANCE_IPS: 'localhost' }, 'metadata.INSTANCE_IPS'],
    [{ INSTANCE_IPS: ['10.0.0.7'] }, 'metadata.INSTANCE_IPS'],
    [{ INSTANCE_IPS: Array.from({ length: 17 }, () => '::1').join() }, 'metadata.INSTANCE_IPS'],
    [{ INTERCEPTION_MODE: 'TPROXY' }, 'metadata.INTERCEPTION_MODE'],
    [{ BULWARK_AGENT_SOCKET: 'run/sds.sock' }, 'metadata.BULWARK_AGENT_SOCKET'],
    [{ BULWARK_HOLD_SOCKET: 'run/hold.sock' }, 'metadata.BULWARK_HOLD_SOCKET'],
    [{ BULWARK_AGENT_SOCKET: `/${'x'.repeat(103)}` }, 'metadata.BULWARK_AGENT_SOCKET'],
    [{ AUTO_REGISTER_GROUP: '' }, 'metadata.AUTO_REGISTER_GROUP'],
    [{ BULWARK_EXPLICIT: PORTS }, 'metadata.BULWARK_EXPLICIT'],
    [{ INTERCEPTION_MODE: 'NONE' }, 'metadata.BULWARK_EXPLICIT'],
    [explicit({ inboundAddress: 'x' }), 'metadata.BULWARK_EXPLICIT.inboundAddress'],
    [explicit({ httpProxyPort: 0 }), 'metadata.BULWARK_EXPLICIT.httpProxyPort'],
    [explicit({ httpProxyPort: 80.5 }), 'metadata.BULWARK_EXPLICIT.httpProxyPort'],
    [explicit({ inbound: {} }), 'metadata.BULWARK_EXPLICIT.inbound'],
    [explicit({ inbound: [7] }), 'metadata.BULWARK_EXPLICIT.inbound[0]'],
    [
      explicit({ upstreams: [{ host: 'x', port: 80, listen: 65_536 }] }),
      'metadata.BULWARK_EXPLICIT.upstreams[0].listen',
    ],
  ];
  for (const [metadata, field] of cases) {
    assert.throws(
      () => parse(metadata),
      (error: unknown) =>
        isBulwarkError(error, 'XDS_NODE_INVALID') && error.message.startsWith(`node.${field} `),
      JSON.stringify(metadata).slice(0, 80),
    );
  }
});

test('a node id of another form is refused', () => {
  const ids = [
    '',
    'me',
    'sidecar~10.0.0.7~web.photo-ns',
    'sidecar~nowhere~web.photo-ns~photo-ns.svc.cluster.local',
    'waypoint~10.0.0.7~web.photo-ns~photo-ns.svc.cluster.local',
    'sidecar~10.0.0.7~photo-ns~photo-ns.svc.cluster.local',
    'sidecar~10.0.0.7~web.photo-ns~data-ns.svc.cluster.local',
    'sidecar~10.0.0.7~web.photo-ns~photo-ns.svc.cluster.local~x',
    'sidecar~10.0.0.7~web\n.photo-ns~photo-ns.svc.cluster.local',
    `sidecar~10.0.0.7~${'x'.repeat(1024)}.photo-ns~photo-ns.svc.cluster.local`,
  ];
  for (const id of ids)
    assert.throws(
      () => parse({}, { id }),
      (error) => isBulwarkError(error, 'XDS_NODE_INVALID'),
      id,
    );
});

test('a router is a gateway, at the address that it names or at all', () => {
  const id = 'router~10.0.0.7~web.photo-ns~photo-ns.svc.cluster.local';
  assert.deepEqual(parse({}, { id }).gateway, { address: '0.0.0.0' });
  const bound = { BULWARK_BIND_ADDRESS: '127.0.0.9' };
  assert.deepEqual(parse(bound, { id }).gateway, { address: '127.0.0.9' });
  assert.equal(parse(bound).gateway, undefined);
  const wrong = [{ BULWARK_BIND_ADDRESS: 'here' }, { INTERCEPTION_MODE: 'NONE' }];
  for (const metadata of wrong)
    assert.throws(
      () => parse(metadata, { id }),
      (error) => isBulwarkError(error, 'XDS_NODE_INVALID'),
    );
});
