// What Istio's own agent does at a control plane, step by step, against the real server: token to
// certificate, then configuration on a delta stream, by token and by certificate.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { create, fromBinary, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { ChannelCredentials } from '@grpc/grpc-js';
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from '#gen/bulwark/istio/v1/auth/ca_pb.js';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { identityOfCertificate } from '#pki/certificate-identity.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parseSpiffeId, type SpiffeId } from '#spiffe/spiffe-id.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { GrpcTestClient, type GrpcTestStream } from '../kit/grpc-client.ts';
import { RealMesh } from '../kit/real-mesh.ts';

const CREATE = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const DELTA = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const OTHER = 'outbound|80||other.default.svc.cluster.local';
const OBJECTS = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: client, namespace: default}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: other, namespace: default}
spec:
  hosts: [other.default.svc.cluster.local]
  addresses: [240.0.0.9]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  location: MESH_INTERNAL
  endpoints: [{address: 10.9.9.9}]
`;
/** What the agent says of itself, as seen on the wire. */
const NODE: JsonObject = {
  CLUSTER_ID: 'Kubernetes',
  NAME: 'client-1',
  NAMESPACE: 'default',
  SERVICE_ACCOUNT: 'client',
  INSTANCE_IPS: '127.0.0.1',
  ISTIO_VERSION: '1.32-dev',
  PILOT_SAN: ['istiod.istio-system.svc'],
  PROXY_CONFIG: { discoveryAddress: 'localhost:15012', statusPort: 15020 },
  LABELS: {},
};

interface Agent {
  readonly mesh: RealMesh;
  readonly root: Buffer;
  readonly discovery: string;
  readonly token: string;
}

async function startServer(t: Pick<TestContext, 'after'>): Promise<Agent> {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(OBJECTS);
  const { body } = await mesh.api.send({
    method: 'POST',
    path: '/api/v1/namespaces/default/serviceaccounts/client/token',
    body: { spec: { audiences: ['istio-ca'], expirationSeconds: 3600 } },
  });
  const { token } = (body as { status: { token: string } }).status;
  const { discovery } = mesh.addresses;
  return { mesh, token, discovery, root: readFileSync(join(mesh.data, 'root-cert.pem')) };
}

/** The agent verifies the server by the name that Istio's is known by, whatever the address. */
function connect(t: TestContext, { discovery, root }: Agent, own?: OwnCertificate) {
  const key = own ? Buffer.from(own.key) : null;
  const chain = own ? Buffer.from(own.chain) : null;
  return new GrpcTestClient(t, discovery, ChannelCredentials.createSsl(root, key, chain), {
    'grpc.ssl_target_name_override': 'istiod.istio-system.svc',
  });
}

interface OwnCertificate {
  readonly key: string;
  readonly chain: string;
}

function bearer({ token }: Agent): { readonly metadata: Record<string, string> } {
  return { metadata: { authorization: `Bearer ${token}`, clusterid: 'Kubernetes' } };
}

interface Wish {
  readonly asked?: SpiffeId;
  readonly seconds?: bigint;
  /** What it proves itself with, instead of the token. */
  readonly own?: OwnCertificate;
}

async function certify(t: TestContext, agent: Agent, wish: Wish = {}) {
  const { asked = CLIENT, seconds = 86_400n } = wish;
  const keys = generateKeyPair();
  const request = create(IstioCertificateRequestSchema, {
    csr: buildCsr(asked, keys),
    validityDuration: seconds,
    metadata: { CertSigner: '' },
  });
  const bytes = toBinary(IstioCertificateRequestSchema, request);
  const call = connect(t, agent, wish.own).stream(CREATE, wish.own ? {} : bearer(agent));
  call.send(bytes);
  call.finish();
  const { code, details } = await call.outcome;
  const [answer] = call.messages;
  const { certChain } = fromBinary(IstioCertificateResponseSchema, answer ?? new Uint8Array());
  const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { code, details, certChain, own: { key, chain: certChain.slice(0, -1).join('') } };
}

const CLIENT = parseSpiffeId('spiffe://cluster.local/ns/default/sa/client');
const EVIL = parseSpiffeId('spiffe://cluster.local/ns/other/sa/evil');

function subscribe(
  stream: GrpcTestStream,
  type: keyof typeof TYPE_URL,
  names: readonly string[] = [],
  metadata = NODE,
): void {
  const id = 'sidecar~127.0.0.1~client-1.default~default.svc.cluster.local';
  const request = create(DeltaDiscoveryRequestSchema, {
    node: { id, metadata, userAgentName: 'envoy' },
    typeUrl: TYPE_URL[type],
    resourceNamesSubscribe: [...names],
  });
  stream.send(toBinary(DeltaDiscoveryRequestSchema, request));
}

/** The names in the response of this number, which is accepted. */
async function namesOf(stream: GrpcTestStream, index: number): Promise<string[]> {
  const response = fromBinary(DeltaDiscoveryResponseSchema, await stream.message(index));
  const { nonce: responseNonce, typeUrl, resources } = response;
  const ack = create(DeltaDiscoveryRequestSchema, { typeUrl, responseNonce });
  stream.send(toBinary(DeltaDiscoveryRequestSchema, ack));
  return resources.map(({ name }) => name);
}

function identityIn(certChain: readonly string[]): SpiffeId {
  const [leaf] = parseCertificatesPem(certChain[0] ?? '');
  assert.ok(leaf);
  return identityOfCertificate(leaf);
}

describe("Istio's own agent", () => {
  let agent: Agent;
  const cleanups: (() => unknown)[] = [];
  before(async () => {
    agent = await startServer({ after: (run) => void cleanups.push(run as () => unknown) });
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  it('gets leaf first and root last, for who it is and not for what it asked', async (t) => {
    const { code, certChain } = await certify(t, agent, { asked: EVIL });
    assert.equal(code, 0);
    assert.ok(certChain.length >= 2);
    assert.equal(certChain.at(-1)?.trim(), agent.root.toString().trim());
    assert.equal(identityIn(certChain), CLIENT);
  });

  it('is told what is wrong in the words that it knows', async (t) => {
    const long = await certify(t, agent, { seconds: 2161n * 3600n });
    assert.equal(long.code, 3);
    assert.match(long.details, /requested TTL .* is greater than the max/);
    const nobody = await certify(t, { ...agent, token: 'x.y.z' });
    assert.deepEqual([nobody.code, nobody.details], [16, 'request authenticate failure']);
  });

  it('streams configuration by its token, for every type', async (t) => {
    const stream = connect(t, agent).stream(DELTA, bearer(agent));
    subscribe(stream, 'cluster');
    const clusters = await namesOf(stream, 0);
    assert.ok(clusters.includes(OTHER), String(clusters));
    subscribe(stream, 'endpoints', [OTHER]);
    assert.deepEqual(await namesOf(stream, 1), [OTHER]);
    subscribe(stream, 'listener');
    const listeners = await namesOf(stream, 2);
    assert.ok(listeners.includes('virtualOutbound'), String(listeners));
    assert.ok(listeners.includes('virtualInbound'), String(listeners));
    subscribe(stream, 'route', ['80']);
    assert.deepEqual(await namesOf(stream, 3), ['80']);
    stream.cancel();
  });

  it('streams by its certificate (PROV_CERT), and renews by it', async (t) => {
    const { own } = await certify(t, agent);
    const stream = connect(t, agent, own).stream(DELTA);
    subscribe(stream, 'cluster');
    assert.ok((await namesOf(stream, 0)).includes(OTHER));
    stream.cancel();
    const renewed = await certify(t, agent, { own });
    assert.equal(identityIn(renewed.certChain), CLIENT);
  });

  it('gets nothing for a node that says it is another', async (t) => {
    const stream = connect(t, agent).stream(DELTA, bearer(agent));
    subscribe(stream, 'cluster', [], { ...NODE, SERVICE_ACCOUNT: 'evil' });
    const { code } = await stream.outcome;
    assert.equal(code, 7);
    assert.equal(stream.messages.length, 0);
  });
});
