import type { AgentMetrics } from '#agent/metrics.ts';
import type { FileSecrets } from '#agent/sds/file-secrets.ts';
import {
  encodeSpiffeContext,
  encodeTlsCertificate,
  encodeValidationContext,
  type RepeatableSecret,
  versionOf,
} from '#agent/sds/messages.ts';
import { SdsStream, type SdsStreamHost, type SdsVariant } from '#agent/sds/sds-stream.ts';
import {
  FEDERATED_SECRET_NAME,
  ROOT_SECRET_NAME,
  WORKLOAD_SECRET_NAME,
} from '#agent/sds/secret-names.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import type { Clock } from '#base/clock.ts';
import { GRPC_STATUS, type GrpcServerStream, type GrpcService } from '#base/grpc/grpc.ts';
import { GrpcServer } from '#base/grpc/server.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';

export interface SdsServerOptions {
  /** The unix socket; only its owner may connect. */
  readonly socketPath: string;
  /** What else is served there. */
  readonly services?: readonly GrpcService[];
}

export interface SdsServerDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: AgentMetrics;
  /** Called after each answer of the Envoy and when a stream of it ended. */
  readonly onAnswer?: () => void;
  /** Where secrets of other names come from; none when left out. */
  readonly files?: Pick<FileSecrets, 'find'>;
}

/** What an Envoy did with the last push of one secret. */
export interface PushOutcome {
  readonly version: string;
  readonly state: 'accepted' | 'rejected';
  /** Envoy's words, when it was rejected. */
  readonly reason: string | undefined;
}

const SERVICE = '/envoy.service.secret.v3.SecretDiscoveryService';
/**
 * Nothing can be lost between two ends of a unix socket, so nobody needs to be asked whether he is
 * there.
 */
const KEEP_ALIVE_MS = 3_600_000;
const REASON_LENGTH_MAX = 500;
/** What a workload has, or may have, from its first certificate on. */
const OWN_NAMES = [WORKLOAD_SECRET_NAME, ROOT_SECRET_NAME, FEDERATED_SECRET_NAME];

/**
 * The secret discovery service for the Envoy of one workload (envoy.service.secret.v3), both
 * variants: `default` is its key and certificate, `ROOTCA` the roots, other names are those of
 * files (`FileSecrets`). Who may connect to the socket may have them. Before the first certificate
 * an Envoy is kept waiting for the former: told that there is none, it would go on without.
 */
export class SdsServer implements Component {
  readonly name = 'sds';
  readonly #deps: SdsServerDeps;
  readonly #server: GrpcServer;
  readonly #streams = new Set<SdsStream>();
  readonly #outcomes = new Map<string, PushOutcome>();
  #acceptances = 0;
  #resources: ReadonlyMap<string, RepeatableSecret> = new Map();

  constructor({ socketPath, services = [] }: SdsServerOptions, deps: SdsServerDeps) {
    this.#deps = deps;
    const options = {
      name: 'sds',
      listen: { path: socketPath },
      services: [this.#service(), ...services],
      keepAliveMs: KEEP_ALIVE_MS,
      closeTimeoutMs: 1000,
    };
    this.#server = new GrpcServer(options, deps);
  }

  /** @throws BulwarkError as GrpcServer.start does */
  start(): Promise<void> {
    return this.#server.start();
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  /** The last outcome for each secret. */
  get outcomes(): ReadonlyMap<string, PushOutcome> {
    return this.#outcomes;
  }

  /**
   * What the Envoy as a whole does with a secret as it is now: it opens a stream for each use, and
   * uses what it has until it takes what is new. Undefined while an answer is missing, or nobody
   * asks.
   */
  verdictOn(name: string): PushOutcome | undefined {
    const version = this.#resources.get(name)?.version;
    const answers = [...this.#streams]
      .filter((stream) => stream.wants(name))
      .map((stream) => stream.answerTo(name));
    if (version === undefined || answers.length === 0) return undefined;
    const current = answers.filter((answer) => answer?.version === version);
    const refused = current.find((answer) => answer?.reason !== undefined);
    if (refused) return { version, state: 'rejected', reason: refused.reason };
    if (current.length < answers.length) return undefined;
    return { version, state: 'accepted', reason: undefined };
  }

  /**
   * Serves this from now on, pushing at once what differs from before. The secret must have passed
   * its checks.
   */
  publish(secret: WorkloadSecret): void {
    const before = this.#resources;
    this.#resources = resourcesOf(secret);
    const isFirst = before.size === 0;
    for (const name of isFirst ? OWN_NAMES : this.#resources.keys()) {
      if (!isFirst && before.get(name)?.version === this.#resources.get(name)?.version) continue;
      for (const stream of this.#streams) stream.changed(name);
    }
  }

  /** A secret that is not of the workload has new content. */
  changed(name: string): void {
    for (const stream of this.#streams) stream.changed(name);
  }

  /** Whether any client wants a secret of this name. */
  wants(name: string): boolean {
    return [...this.#streams].some((stream) => stream.wants(name));
  }

  #service(): GrpcService {
    return {
      streams: {
        [`${SERVICE}/DeltaSecrets`]: (stream) => this.#serve(stream, 'delta'),
        [`${SERVICE}/StreamSecrets`]: (stream) => this.#serve(stream, 'world'),
      },
    };
  }

  #serve(stream: GrpcServerStream, variant: SdsVariant): void {
    const client = new SdsStream(stream, variant, this.#host());
    this.#streams.add(client);
    stream.onMessage = (message) => client.take(message);
    stream.onEnd = () => {
      this.#streams.delete(client);
      stream.end(GRPC_STATUS.ok);
      this.#deps.onAnswer?.();
    };
  }

  #host(): SdsStreamHost {
    const { log, metrics } = this.#deps;
    return {
      isComing: (name) => this.#resources.size === 0 && OWN_NAMES.includes(name),
      find: (name) => this.#resources.get(name) ?? this.#deps.files?.find(name),
      pushed: (name) => metrics.secretPushes.inc({ resource_name: labelOf(name) }),
      acceptances: () => this.#acceptances,
      accepted: (name, version) => {
        this.#acceptances += 1;
        this.#outcomes.set(name, { version, state: 'accepted', reason: undefined });
        log.debug('Envoy took a secret', { secretName: name, version });
        // A bad secret takes its neighbours with it: after a success everything rejected gets
        // another chance.
        for (const stream of this.#streams) stream.retryRejected();
        this.#deps.onAnswer?.();
      },
      rejected: (name, version, text) => {
        const reason = text.slice(0, REASON_LENGTH_MAX);
        metrics.secretRejects.inc({ resource_name: labelOf(name) });
        this.#outcomes.set(name, { version, state: 'rejected', reason });
        log.error('Envoy did not take a secret', { secretName: name, version, reason });
        this.#deps.onAnswer?.();
      },
      unknown: (name) => {
        metrics.unknownSecrets.inc();
        log.warn('Envoy asks for a secret that there is not', { secretName: name });
      },
    };
  }
}

/** Metrics count all files as one: their names come from the control plane. */
function labelOf(name: string): string {
  return OWN_NAMES.includes(name) ? name : 'file';
}

function resourcesOf(secret: WorkloadSecret): ReadonlyMap<string, RepeatableSecret> {
  const { chainPem, rootsPem, crlPem = '', isLeafOnly = true, privateKeyPem } = secret;
  const byDomain = rootsByDomain(secret);
  // Versions come from the public part only: they are written into logs.
  return new Map([
    resource(WORKLOAD_SECRET_NAME, chainPem, (padding) =>
      encodeTlsCertificate(WORKLOAD_SECRET_NAME, `${chainPem}${padding}`, privateKeyPem.reveal()),
    ),
    rootResource({ rootsPem, crlPem, isLeafOnly }),
    ...(byDomain.size === 0 ? [] : [federatedResource(byDomain)]),
  ]);
}

type Roots = Required<Pick<WorkloadSecret, 'rootsPem' | 'crlPem' | 'isLeafOnly'>>;

/** The last ones: they are the same for long, and for nearly every workload. */
let lastRoots: { readonly roots: Roots; readonly entry: [string, RepeatableSecret] } | undefined;

function rootResource(roots: Roots): [string, RepeatableSecret] {
  const { rootsPem, crlPem, isLeafOnly } = roots;
  const last = lastRoots?.roots;
  const isSame =
    last?.rootsPem === rootsPem && last.crlPem === crlPem && last.isLeafOnly === isLeafOnly;
  if (lastRoots && isSame) return lastRoots.entry;
  const entry = resource(ROOT_SECRET_NAME, `${rootsPem}${crlPem}${isLeafOnly}`, (padding) =>
    encodeValidationContext(ROOT_SECRET_NAME, { ...roots, rootsPem: `${rootsPem}${padding}` }),
  );
  lastRoots = { roots, entry };
  return entry;
}

/** Its own trust domain by all its names, and those that it is federated with. */
function rootsByDomain({ rootsPem, bundles }: WorkloadSecret): ReadonlyMap<string, string> {
  if (!bundles) return new Map();
  const others = [...bundles.byDomain]
    .filter(([name, other]) => !bundles.own.includes(name) && other.rootsPem !== '')
    .map(([name, other]) => [name, other.rootsPem] as const);
  return new Map([...bundles.own.map((name) => [name, rootsPem] as const), ...others]);
}

function federatedResource(byDomain: ReadonlyMap<string, string>): [string, RepeatableSecret] {
  return resource(FEDERATED_SECRET_NAME, JSON.stringify([...byDomain]), (padding) => {
    const padded = [...byDomain].map(([name, pem]) => [name, `${pem}${padding}`] as const);
    return encodeSpiffeContext(FEDERATED_SECRET_NAME, new Map(padded));
  });
}

function resource(
  name: string,
  publicPart: string,
  encode: RepeatableSecret['encode'],
): [string, RepeatableSecret] {
  return [name, { name, version: versionOf(publicPart), encode }];
}
