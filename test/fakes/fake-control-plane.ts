import type { TestContext } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { systemClock } from '#base/clock.ts';
import { frameMessage, type GrpcServerStream, type GrpcService } from '#base/grpc/grpc.ts';
import { GrpcServer } from '#base/grpc/server.ts';
import { silentLogger } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from '#gen/bulwark/istio/v1/auth/ca_pb.js';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  ResourceSchema,
} from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import { registrationOf } from '#model/registration.ts';
import { parseCertificate } from '#pki/certificate.ts';
import { identityOfCertificate } from '#pki/certificate-identity.ts';
import { parseWorkloadId } from '#spiffe/spiffe-id.ts';
import { parseProxyNode } from '#xds/node-metadata.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import { TYPE_URL, type TypeUrl } from '#xds/resource.ts';
import type { TestMesh } from '../kit/mesh.ts';
import { FakeAuthority } from './fake-authority.ts';

const SERVER_NAME = 'istiod.istio-system.svc';
/** Types of which a proxy gets all there is; of the others it gets what it names. */
const WILDCARD: ReadonlySet<string> = new Set([TYPE_URL.cluster, TYPE_URL.listener]);
/** Clusters before what names them. */
const ORDER = [
  TYPE_URL.cluster,
  TYPE_URL.endpoints,
  TYPE_URL.listener,
  TYPE_URL.route,
  TYPE_URL.extensionConfig,
];

/**
 * Certificate service and delta ADS on one TLS port, for tests of the agent: the real configuration
 * of a mesh in memory, served in the simplest way that Envoy takes. Proxies must come with their
 * certificate.
 */
export class FakeControlPlane {
  readonly authority = new FakeAuthority(systemClock);
  readonly mesh: TestMesh;
  /** Proxies that connected, in order, each time. */
  readonly connected: ProxyNode[] = [];
  /** What proxies did not take. */
  readonly rejections: string[] = [];
  readonly #sessions = new Set<ProxySession>();
  #server: GrpcServer | undefined;
  #port = 0;

  constructor(test: Pick<TestContext, 'after'>, mesh: TestMesh) {
    this.mesh = mesh;
    test.after(() => this.stop());
  }

  /** `127.0.0.1:PORT`, the same after a restart. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Starts, or starts again on the same port. It ends with the test that it was made for. */
  async start(): Promise<void> {
    const pair = this.authority.issue({ dnsNames: [SERVER_NAME] });
    this.#server = new GrpcServer(
      {
        name: 'control plane',
        listen: { host: '127.0.0.1', port: this.#port },
        tls: {
          privateKeyPem: pair.privateKeyPem,
          certificateChainPem: pair.certificatePem,
          clientCaPem: this.authority.rootPem,
        },
        services: [this.#certificates(), this.#discovery()],
        closeTimeoutMs: 200,
      },
      { log: silentLogger, clock: systemClock },
    );
    await this.#server.start();
    this.#port = this.#server.port;
  }

  /** Ends, as by a crash: nobody is told anything. */
  async stop(): Promise<void> {
    await this.#server?.close();
  }

  /** Gives every proxy what the mesh has for it now. */
  publish(): void {
    for (const session of this.#sessions) session.publish();
  }

  #certificates(): GrpcService {
    return {
      unary: {
        '/istio.v1.auth.IstioCertificateService/CreateCertificate': async (bytes, call) => {
          const request = fromBinary(IstioCertificateRequestSchema, bytes);
          const token = new Secret(String(call.metadata.authorization));
          const certChain = [...(await this.authority.sign(request, token))];
          const response = create(IstioCertificateResponseSchema, { certChain });
          return toBinary(IstioCertificateResponseSchema, response);
        },
      },
    };
  }

  #discovery(): GrpcService {
    return {
      streams: {
        '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources': (
          stream,
        ) => {
          let session: ProxySession | undefined;
          stream.onMessage = (message) => {
            const request = fromBinary(DeltaDiscoveryRequestSchema, message);
            session ??= this.#accept(stream, request);
            if (request.errorDetail) this.rejections.push(request.errorDetail.message);
            session.take(request);
          };
          stream.onEnd = () => {
            if (session) this.#sessions.delete(session);
            stream.end(0);
          };
        },
      },
    };
  }

  #accept(stream: GrpcServerStream, { node }: DeltaDiscoveryRequest): ProxySession {
    const certificate = stream.call.peer.verifiedCertificate;
    if (!node || !certificate) throw new Error('a proxy without node or certificate');
    const identity = identityOfCertificate(parseCertificate(certificate));
    const workload = parseWorkloadId(identity);
    if (!workload) throw new Error(`${identity} is no workload`);
    const proxy = parseProxyNode(node, { identity, ...workload });
    this.#register(proxy);
    this.connected.push(proxy);
    const session = new ProxySession(stream, proxy, this.mesh);
    this.#sessions.add(session);
    queueMicrotask(() => this.publish());
    return session;
  }

  #register(proxy: ProxyNode): void {
    const groups = this.mesh.model.snapshot().workloadGroups;
    const group = proxy.group && groups.get(proxy.namespace, proxy.group);
    if (!group) return;
    const { entry, refused } = registrationOf(group, proxy);
    if (refused) throw new Error(refused.message);
    this.mesh.put(entry);
  }
}

/** One proxy's stream: what it wants, and what it was sent. */
class ProxySession {
  readonly #stream: GrpcServerStream;
  readonly #proxy: ProxyNode;
  readonly #mesh: TestMesh;
  readonly #wanted = new Map<string, Set<string>>();
  readonly #sent = new Map<string, ReadonlySet<string>>();
  #nonce = 0;

  constructor(stream: GrpcServerStream, proxy: ProxyNode, mesh: TestMesh) {
    this.#stream = stream;
    this.#proxy = proxy;
    this.#mesh = mesh;
  }

  take(request: DeltaDiscoveryRequest): void {
    const { typeUrl, resourceNamesSubscribe: more, resourceNamesUnsubscribe: less } = request;
    const isFirst = !this.#wanted.has(typeUrl);
    const wanted = this.#wanted.get(typeUrl) ?? new Set();
    this.#wanted.set(typeUrl, wanted);
    for (const name of less) wanted.delete(name);
    for (const name of more) wanted.add(name);
    if (isFirst || more.length > 0) this.#send(typeUrl);
  }

  publish(): void {
    for (const typeUrl of ORDER) if (this.#wanted.has(typeUrl)) this.#send(typeUrl);
  }

  #send(typeUrl: string): void {
    const snapshot = this.#mesh.generator.snapshotFor(this.#proxy, this.#mesh.model.snapshot());
    const all = snapshot.get(typeUrl as TypeUrl) ?? new Map();
    const wanted = this.#wanted.get(typeUrl) ?? new Set();
    const chosen = [...all.values()].filter(
      ({ name }) => WILDCARD.has(typeUrl) || wanted.has(name),
    );
    const names = new Set(chosen.map(({ name }) => name));
    const before = this.#sent.get(typeUrl) ?? new Set();
    this.#sent.set(typeUrl, names);
    this.#nonce += 1;
    const response = create(DeltaDiscoveryResponseSchema, {
      typeUrl,
      nonce: String(this.#nonce),
      resources: chosen.map(({ encoded }) => fromBinary(ResourceSchema, encoded)),
      removedResources: [...before].filter((name) => !names.has(name)),
    });
    this.#stream.writeFrame(frameMessage(toBinary(DeltaDiscoveryResponseSchema, response)));
  }
}
