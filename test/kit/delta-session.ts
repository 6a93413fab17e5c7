import { createHash } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { frameMessage, type GrpcServerStream } from '#base/grpc/grpc.ts';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  ResourceSchema,
} from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import { TYPE_URL, type TypeUrl, type XdsResource } from '#xds/resource.ts';

/** Types of which a proxy gets all there is; of the others it gets what it names. */
const WILDCARD: ReadonlySet<string> = new Set([TYPE_URL.cluster, TYPE_URL.listener]);
/** Secrets that every proxy gets sooner or later: told that there are none, it would go on. */
const COMING: ReadonlySet<string> = new Set(['default', 'ROOTCA']);
/** What others refer to comes first. */
const ORDER = [
  TYPE_URL.endpoints,
  TYPE_URL.route,
  TYPE_URL.extensionConfig,
  TYPE_URL.secret,
  TYPE_URL.cluster,
  TYPE_URL.listener,
];

/** A version of all resources of a type. */
export function versionOfAll(resources: ReadonlyMap<string, XdsResource>): string {
  const hash = createHash('sha256');
  for (const name of [...resources.keys()].sort())
    hash.update(`${name} ${resources.get(name)?.version}\n`);
  return hash.digest('base64url');
}

/** What one stream wants, and the versions of what it was sent. */
export class DeltaSession {
  readonly #stream: GrpcServerStream;
  readonly #resources: ReadonlyMap<TypeUrl, ReadonlyMap<string, XdsResource>>;
  readonly #wanted = new Map<TypeUrl, Set<string>>();
  readonly #sent = new Map<TypeUrl, Map<string, string>>();
  readonly #rejections: string[];
  #nonce = 0;

  /**
   * @param resources what there is; what is put into it later is told with `push`
   * @param rejections takes what the proxy says when it does not take something
   */
  constructor(
    stream: GrpcServerStream,
    resources: ReadonlyMap<TypeUrl, ReadonlyMap<string, XdsResource>>,
    rejections: string[],
  ) {
    this.#stream = stream;
    this.#resources = resources;
    this.#rejections = rejections;
  }

  /** A request of the proxy. */
  take(message: Uint8Array): void {
    const request: DeltaDiscoveryRequest = fromBinary(DeltaDiscoveryRequestSchema, message);
    const typeUrl = request.typeUrl as TypeUrl;
    if (request.errorDetail) this.#rejections.push(request.errorDetail.message);
    const isFirst = !this.#wanted.has(typeUrl);
    const wanted = this.#wanted.get(typeUrl) ?? new Set();
    const sent = this.#sentOf(typeUrl);
    this.#wanted.set(typeUrl, wanted);
    for (const name of request.resourceNamesUnsubscribe) {
      wanted.delete(name);
      sent.delete(name);
    }
    for (const name of request.resourceNamesSubscribe) {
      wanted.add(name);
      sent.delete(name);
    }
    const all = this.#resources.get(typeUrl);
    const unknown = request.resourceNamesSubscribe.filter(
      (name) => !all?.has(name) && !COMING.has(name),
    );
    if (isFirst || request.resourceNamesSubscribe.length > 0)
      this.#send(typeUrl, unknown, isFirst && WILDCARD.has(typeUrl));
  }

  /** Sends what has changed. */
  push(): void {
    for (const typeUrl of ORDER) if (this.#wanted.has(typeUrl)) this.#send(typeUrl);
  }

  #sentOf(typeUrl: TypeUrl): Map<string, string> {
    const sent = this.#sent.get(typeUrl) ?? new Map<string, string>();
    this.#sent.set(typeUrl, sent);
    return sent;
  }

  #send(typeUrl: TypeUrl, unknown: readonly string[] = [], isCompulsory = false): void {
    const all = this.#resources.get(typeUrl) ?? new Map<string, XdsResource>();
    const sent = this.#sentOf(typeUrl);
    const isWanted = (name: string): boolean =>
      WILDCARD.has(typeUrl) || this.#wanted.get(typeUrl)?.has(name) === true;
    const news = [...all.values()].filter(
      ({ name, version }) => isWanted(name) && sent.get(name) !== version,
    );
    const gone = [...[...sent.keys()].filter((name) => !all.has(name)), ...unknown];
    if (news.length === 0 && gone.length === 0 && !isCompulsory) return;
    for (const { name, version } of news) sent.set(name, version);
    for (const name of gone) sent.delete(name);
    this.#nonce += 1;
    const response = create(DeltaDiscoveryResponseSchema, {
      typeUrl,
      systemVersionInfo: versionOfAll(all),
      nonce: String(this.#nonce),
      resources: news.map(({ encoded }) => fromBinary(ResourceSchema, encoded)),
      removedResources: gone,
    });
    this.#stream.writeFrame(frameMessage(toBinary(DeltaDiscoveryResponseSchema, response)));
    // A cluster that changes waits for its endpoints again, and does not ask for them.
    if (typeUrl !== TYPE_URL.cluster || !this.#wanted.has(TYPE_URL.endpoints)) return;
    this.#sentOf(TYPE_URL.endpoints).clear();
    this.#send(TYPE_URL.endpoints);
  }
}
