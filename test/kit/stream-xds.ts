import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { encodeTlsCertificate, encodeValidationContext } from '#agent/sds/messages.ts';
import { systemClock } from '#base/clock.ts';
import type { GrpcServerStream } from '#base/grpc/grpc.ts';
import { GrpcServer } from '#base/grpc/server.ts';
import { silentLogger } from '#base/log.ts';
import { ResourceSchema } from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import { TYPE_URL, type TypeUrl, type XdsResource, type XdsSnapshot } from '#xds/resource.ts';
import { AGENT_BOOTSTRAP } from './agent-bootstrap.ts';
import { DeltaSession } from './delta-session.ts';
import type { BootstrapJson } from './envoy.ts';
import { adsBootstrap } from './envoy-resources.ts';
import { temporaryDirectory } from './temp-directory.ts';
import type { TestCertificate } from './test-authority.ts';
import { resourceJson } from './xds-json.ts';

/** What a workload proves itself with, and what it verifies others with. */
export interface WorkloadSecrets {
  readonly own: TestCertificate;
  /** PEM. */
  readonly roots: string;
}

/** Where generated configuration looks for what, and how it asks. */
const METHODS = [
  '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
  '/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets',
];

/**
 * Gives an Envoy its configuration over streams, as it is at any moment and all at once: what the
 * product adds to that, order and patience, is left out. Many of these are one process's, and none
 * watches files: of that a machine has little.
 */
export class StreamXds {
  /** What was published last, by type and name. */
  readonly published = new Map<TypeUrl, ReadonlyMap<string, XdsResource>>();
  /** What Envoy did not take, in its words. */
  readonly rejections: string[] = [];
  readonly #sessions = new Set<DeltaSession>();
  readonly #server: GrpcServer;
  readonly #path: string;
  readonly #own = new Map<string, XdsResource>();
  #snapshot: XdsSnapshot = new Map();
  #runtime: object = {};

  private constructor(test: Pick<TestContext, 'after'>) {
    this.#path = join(temporaryDirectory(test), 'xds.sock');
    const streams = METHODS.map((method) => [method, this.#serve] as const);
    const services = [{ streams: Object.fromEntries(streams) }];
    this.#server = new GrpcServer(
      { name: 'xds', listen: { path: this.#path }, services, closeTimeoutMs: 200 },
      { log: silentLogger, clock: systemClock },
    );
    test.after(() => this.#server.close());
  }

  /** Starts it; it ends with the test. */
  static async start(test: Pick<TestContext, 'after'>): Promise<StreamXds> {
    const xds = new StreamXds(test);
    await xds.#server.start();
    return xds;
  }

  /** What Envoy starts with. Publish before. */
  get bootstrap(): BootstrapJson {
    const node = { id: 'test' };
    const { static_resources: resources, ...rest } = adsBootstrap({
      node,
      at: { path: this.#path },
    });
    const { clusters } = resources as { readonly clusters: readonly object[] };
    return {
      ...rest,
      ...AGENT_BOOTSTRAP,
      static_resources: { clusters: [...clusters, { ...clusters[0], name: 'sds-grpc' }] },
      layered_runtime: {
        // It does not change as long as an Envoy of a test runs.
        layers: [
          ...AGENT_BOOTSTRAP.layered_runtime.layers,
          { name: 'mesh', static_layer: this.#runtime },
        ],
      },
    };
  }

  /** Gives Envoy a configuration, with the secrets that it has. */
  publish(snapshot: XdsSnapshot): void {
    for (const resource of snapshot.get(TYPE_URL.runtime)?.values() ?? [])
      this.#runtime = (resourceJson(resource) as { readonly layer: object }).layer;
    this.#snapshot = snapshot;
    this.#push();
  }

  /** Gives the secrets that the agent would hold. */
  publishSecrets({ own, roots }: WorkloadSecrets): void {
    const { certificate, privateKey } = own;
    this.#publishSecret('default', encodeTlsCertificate('default', certificate, privateKey));
    this.publishRoots('ROOTCA', roots);
  }

  /** Gives roots under the name of a secret; '' = the secret is not there yet. */
  publishRoots(name: string, roots: string, crl = ''): void {
    const context = { rootsPem: roots, crlPem: crl, isLeafOnly: false };
    this.#publishSecret(name, roots === '' ? undefined : encodeValidationContext(name, context));
  }

  #publishSecret(name: string, value: Uint8Array | undefined): void {
    this.#own.delete(name);
    if (value) this.#own.set(name, secretOf(name, value));
    this.#push();
  }

  #push(): void {
    for (const typeUrl of Object.values(TYPE_URL))
      this.published.set(typeUrl, this.#snapshot.get(typeUrl) ?? new Map());
    const secrets = this.#snapshot.get(TYPE_URL.secret) ?? [];
    this.published.set(TYPE_URL.secret, new Map([...secrets, ...this.#own]));
    for (const session of this.#sessions) session.push();
  }

  readonly #serve = (stream: GrpcServerStream): void => {
    const session = new DeltaSession(stream, this.published, this.rejections);
    this.#sessions.add(session);
    stream.onMessage = (message) => session.take(message);
    stream.onEnd = () => {
      this.#sessions.delete(session);
      stream.end(0);
    };
  };
}

function secretOf(name: string, value: Uint8Array): XdsResource {
  const typeUrl = TYPE_URL.secret;
  const version = createHash('sha256').update(value).digest('base64url').slice(0, 16);
  const resource = create(AnySchema, { typeUrl, value });
  const encoded = toBinary(ResourceSchema, create(ResourceSchema, { name, version, resource }));
  return { typeUrl, name, version, encoded };
}
