import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { createAgentMetrics } from '#agent/metrics.ts';
import { SECRET_TYPE_URL } from '#agent/sds/messages.ts';
import { SdsServer } from '#agent/sds/sds-server.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { systemClock } from '#base/clock.ts';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { createLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { Secret } from '#base/secret.ts';
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { GrpcTestClient, type GrpcTestStream } from '../../../test/kit/grpc-client.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const SERVICE = '/envoy.service.secret.v3.SecretDiscoveryService';

/** A secret whose certificate and roots are these texts. */
function secretOf(chainPem: string, rootsPem: string): WorkloadSecret {
  return {
    identity: parseSpiffeId('spiffe://cluster.local/ns/a/sa/b'),
    privateKeyPem: new Secret(`key of ${chainPem}`),
    chainPem,
    rootsPem,
    serial: '1',
    notBeforeAt: 0,
    notAfterAt: 1,
    obtainedAt: 0,
  };
}

async function setUp(t: TestContext) {
  const socketPath = join(temporaryDirectory(t), 'sds.sock');
  const logLines: string[] = [];
  const log = createLogger({ level: 'debug', sink: { write: (line) => logLines.push(line) } });
  const registry = new Metrics();
  const metrics = createAgentMetrics(registry);
  const server = new SdsServer({ socketPath }, { log, clock: systemClock, metrics });
  t.after(() => server.close());
  await server.start();
  const client = new GrpcTestClient(t, `unix:${socketPath}`);
  return { server, client, socketPath, logLines, registry };
}

type DeltaInit = Omit<MessageInitShape<typeof DeltaDiscoveryRequestSchema>, '$typeName'>;

/** An incremental client that asks, answers and reads. */
class DeltaClient {
  readonly #stream: GrpcTestStream;
  #read = 0;

  constructor(client: GrpcTestClient) {
    this.#stream = client.stream(`${SERVICE}/DeltaSecrets`);
  }

  send(request: DeltaInit): void {
    const message = create(DeltaDiscoveryRequestSchema, { typeUrl: SECRET_TYPE_URL, ...request });
    this.#stream.send(toBinary(DeltaDiscoveryRequestSchema, message));
  }

  /** The next response; `name@version` of what it holds, beside it. */
  async next(): Promise<DeltaDiscoveryResponse> {
    const bytes = await this.#stream.message(this.#read);
    this.#read += 1;
    return fromBinary(DeltaDiscoveryResponseSchema, bytes);
  }

  async accept({ nonce }: DeltaDiscoveryResponse): Promise<void> {
    this.send({ responseNonce: nonce });
  }

  reject({ nonce }: DeltaDiscoveryResponse, message: string): void {
    this.send({ responseNonce: nonce, errorDetail: { code: 13, message } });
  }

  /** Resolves once everything sent so far was taken: a name that there is not is answered. */
  async settled(): Promise<DeltaDiscoveryResponse> {
    this.send({ resourceNamesSubscribe: ['probe'] });
    return this.next();
  }
}

function namesOf(response: DeltaDiscoveryResponse): readonly string[] {
  return response.resources.map(({ name }) => name);
}

describe('SDS', () => {
  it('serves certificate and roots by name, and says which names there are not', async (t) => {
    const { server, client, logLines } = await setUp(t);
    server.publish(secretOf('cert 1', 'roots 1'));
    const envoy = new DeltaClient(client);
    envoy.send({ resourceNamesSubscribe: ['default', 'ROOTCA', 'kubernetes://other'] });
    const response = await envoy.next();
    assert.deepEqual(namesOf(response), ['ROOTCA', 'default']);
    assert.deepEqual(response.removedResources, ['kubernetes://other']);
    assert.match(logLines.join(''), /asks for a secret that there is not/);
  });

  it('has no secret of another workload, by whatever name, counted and logged', async (t) => {
    const { server, client, logLines, registry } = await setUp(t);
    server.publish(secretOf('cert 1', 'roots 1'));
    const names = [
      'spiffe://cluster.local/ns/a/sa/other',
      'default~other',
      'a/other/default',
      '../other/default',
      'DEFAULT',
      'default\u0000',
      '',
    ];
    const envoy = new DeltaClient(client);
    envoy.send({ resourceNamesSubscribe: names });
    const response = await envoy.next();
    assert.deepEqual(namesOf(response), []);
    assert.deepEqual([...response.removedResources].sort(), [...names].sort());
    const lines = logLines.filter((line) => line.includes('a secret that there is not'));
    assert.equal(lines.length, names.length);
    const text = await registry.text();
    assert.match(text, new RegExp(`bulwark_agent_unknown_secrets_total ${names.length}\n`));
  });

  it('listens for its owner only', async (t) => {
    const { socketPath } = await setUp(t);
    assert.equal(statSync(socketPath).mode & 0o777, 0o600);
  });

  it('pushes a new certificate at once, and not the roots that stayed', async (t) => {
    const { server, client } = await setUp(t);
    server.publish(secretOf('cert 1', 'roots 1'));
    const envoy = new DeltaClient(client);
    envoy.send({ resourceNamesSubscribe: ['default', 'ROOTCA'] });
    const first = await envoy.next();
    await envoy.accept(first);
    await envoy.accept(await envoy.settled());
    server.publish(secretOf('cert 2', 'roots 1'));
    const second = await envoy.next();
    assert.deepEqual(namesOf(second), ['default']);
    assert.notEqual(second.resources[0]?.version, first.resources[1]?.version);
  });

  it('has one response under way on a stream, then sends the latest content only', async (t) => {
    const { server, client } = await setUp(t);
    server.publish(secretOf('cert 1', 'roots 1'));
    const envoy = new DeltaClient(client);
    envoy.send({ resourceNamesSubscribe: ['default'] });
    const first = await envoy.next();
    server.publish(secretOf('cert 2', 'roots 1'));
    server.publish(secretOf('cert 3', 'roots 1'));
    await envoy.accept(first);
    const second = await envoy.next();
    assert.equal(second.nonce, '2');
    assert.deepEqual(namesOf(second), ['default']);
    await envoy.accept(second);
    assert.deepEqual((await envoy.settled()).removedResources, ['probe'], 'nothing in between');
  });

  it('keeps an Envoy waiting for the first certificate, then pushes it', async (t) => {
    const { server, client } = await setUp(t);
    const envoy = new DeltaClient(client);
    envoy.send({ resourceNamesSubscribe: ['default'] });
    const none = await envoy.settled();
    assert.deepEqual(none.removedResources, ['probe'], 'nothing is said of its own');
    await envoy.accept(none);
    server.publish(secretOf('cert 1', 'roots 1'));
    assert.deepEqual(namesOf(await envoy.next()), ['default']);
  });

  it('says with the first certificate that a mesh is not federated', async (t) => {
    const { server, client } = await setUp(t);
    const envoy = new DeltaClient(client);
    envoy.send({ resourceNamesSubscribe: ['FEDERATED_ROOTCA'] });
    await envoy.accept(await envoy.settled());
    server.publish(secretOf('cert 1', 'roots 1'));
    assert.deepEqual((await envoy.next()).removedResources, ['FEDERATED_ROOTCA']);
  });

  it('pushes a rejected secret again when the success came before the rejection', async (t) => {
    const { server, client } = await setUp(t);
    server.publish(secretOf('bad cert', 'roots 1'));
    const certificates = new DeltaClient(client);
    const roots = new DeltaClient(client);
    certificates.send({ resourceNamesSubscribe: ['default'] });
    roots.send({ resourceNamesSubscribe: ['ROOTCA'] });
    certificates.reject(await certificates.next(), 'KEY_VALUES_MISMATCH');
    const late = await roots.next();
    await certificates.accept(await certificates.settled());
    server.publish(secretOf('good cert', 'roots 1'));
    await certificates.accept(await certificates.next());
    await certificates.accept(await certificates.settled());
    roots.reject(late, 'KEY_VALUES_MISMATCH');
    const again = await roots.next();
    assert.deepEqual(namesOf(again), ['ROOTCA']);
    await roots.accept(again);
    await roots.accept(await roots.settled());
    assert.equal(server.outcomes.get('ROOTCA')?.state, 'accepted');
  });

  it('pushes rejected secrets again after a success on another stream', async (t) => {
    const { server, client, logLines } = await setUp(t);
    server.publish(secretOf('bad cert', 'roots 1'));
    const certificates = new DeltaClient(client);
    const roots = new DeltaClient(client);
    certificates.send({ resourceNamesSubscribe: ['default'] });
    roots.send({ resourceNamesSubscribe: ['ROOTCA'] });
    certificates.reject(await certificates.next(), 'KEY_VALUES_MISMATCH');
    const rejected = await roots.next();
    roots.reject(rejected, 'KEY_VALUES_MISMATCH');
    await certificates.accept(await certificates.settled());
    await roots.accept(await roots.settled());
    assert.equal(server.outcomes.get('ROOTCA')?.state, 'rejected');

    server.publish(secretOf('good cert', 'roots 1'));
    await certificates.accept(await certificates.next());
    const again = await roots.next();
    assert.deepEqual(namesOf(again), ['ROOTCA']);
    assert.equal(again.resources[0]?.version, rejected.resources[0]?.version);
    // Envoy says yes to the bytes that it saw last without looking at them.
    assert.notDeepEqual(again.resources[0]?.resource, rejected.resources[0]?.resource);
    await roots.accept(again);
    await roots.settled();
    assert.equal(server.outcomes.get('ROOTCA')?.state, 'accepted');
    assert.match(logLines.join(''), /KEY_VALUES_MISMATCH.*did not take a secret/);
  });

  it('does not push again what nobody else could heal', async (t) => {
    const { server, client } = await setUp(t);
    server.publish(secretOf('bad cert', 'roots 1'));
    const envoy = new DeltaClient(client);
    envoy.send({ resourceNamesSubscribe: ['default'] });
    envoy.reject(await envoy.next(), 'no');
    assert.deepEqual((await envoy.settled()).removedResources, ['probe']);
  });

  it('speaks the state-of-the-world variant too', async (t) => {
    const { server, client } = await setUp(t);
    server.publish(secretOf('cert 1', 'roots 1'));
    const stream = client.stream(`${SERVICE}/StreamSecrets`);
    const send = (responseNonce: string, versionInfo: string): void => {
      const request = create(DiscoveryRequestSchema, {
        typeUrl: SECRET_TYPE_URL,
        resourceNames: ['default'],
        responseNonce,
        versionInfo,
      });
      stream.send(toBinary(DiscoveryRequestSchema, request));
    };
    send('', '');
    const first = fromBinary(DiscoveryResponseSchema, await stream.message(0));
    assert.equal(first.resources.length, 1);
    send(first.nonce, first.versionInfo);
    server.publish(secretOf('cert 2', 'roots 1'));
    const second = fromBinary(DiscoveryResponseSchema, await stream.message(1));
    assert.notEqual(second.versionInfo, first.versionInfo);
  });

  it('ends the stream of a client that asks for something else, or for too much', async (t) => {
    const { client } = await setUp(t);
    const asksOther = client.stream(`${SERVICE}/DeltaSecrets`);
    const other = create(DeltaDiscoveryRequestSchema, { typeUrl: 'type.googleapis.com/x.Cluster' });
    asksOther.send(toBinary(DeltaDiscoveryRequestSchema, other));
    assert.equal((await asksOther.outcome).code, GRPC_STATUS.invalidArgument);

    const garbage = client.stream(`${SERVICE}/DeltaSecrets`);
    garbage.send(Buffer.from([0xff, 0xff, 0xff]));
    assert.equal((await garbage.outcome).code, GRPC_STATUS.invalidArgument);

    const asksMuch = client.stream(`${SERVICE}/DeltaSecrets`);
    const names = Array.from({ length: 101 }, (_, index) => `name-${index}`);
    const much = create(DeltaDiscoveryRequestSchema, { resourceNamesSubscribe: names });
    asksMuch.send(toBinary(DeltaDiscoveryRequestSchema, much));
    assert.equal((await asksMuch.outcome).code, GRPC_STATUS.resourceExhausted);
  });

  it('writes no key into the log', async (t) => {
    const { server, client, logLines } = await setUp(t);
    server.publish(secretOf('cert 1', 'roots 1'));
    const envoy = new DeltaClient(client);
    envoy.send({ resourceNamesSubscribe: ['default'] });
    envoy.reject(await envoy.next(), 'Failed to load');
    await envoy.settled();
    assert.doesNotMatch(logLines.join(''), /key of/);
  });
});
