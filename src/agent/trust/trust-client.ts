import type { ConnectionReport } from '#agent/connections/connection-watch.ts';
import { ROOT_SECRET_NAME, TRUST_BUNDLES_NAME } from '#agent/sds/secret-names.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import type { TrustBundle } from '#agent/trust/trust-bundle.ts';
import {
  decodeTrustResponse,
  encodeTrustRequest,
  type TrustNode,
  type TrustResponse,
} from '#agent/trust/trust-messages.ts';
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { GrpcClient, type GrpcClientStream } from '#base/grpc/client.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import type { ServerRoots } from '#caclient/server-roots.ts';

export interface TrustClientOptions {
  /** HOST:PORT of xDS. */
  readonly address: string;
  /** The DNS name in the server's certificate. */
  readonly serverName: string;
  readonly node: TrustNode;
  /** Called with each bundle; `answer` is to be called once, with a reason when it is refused. */
  readonly onBundle: (bundle: TrustBundle, answer: (refusal?: string) => void) => void;
  /** Called with what is known of all trust domains; gives the reason when it is refused. */
  readonly onDomains: (text: string) => string | undefined;
  /** What each new stream begins by telling of the workload's connections. */
  readonly connections: () => ConnectionReport | undefined;
}

export interface TrustClientDeps {
  readonly roots: ServerRoots;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

interface Connection {
  readonly client: GrpcClient;
  readonly call: GrpcClientStream;
  /** Settles when the call is over, however. */
  readonly ended: Promise<void>;
}

const METHOD = '/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets';
/** Beside what parseProxyNode reads; xds/serve/connection-reports.ts reads it. */
const CONNECTIONS_FIELD = 'BULWARK_CONNECTIONS';
const RETRY_DELAY = { delayMsMin: 200, delayMsMax: 10_000 };
const KEEP_ALIVE = { everyMs: 20_000, answerMs: 10_000 };
/** How long a farewell may take. */
const FAREWELL_MS_MAX = 500;

/**
 * Asks the control plane what a workload is to trust, on a stream of its own that is opened with
 * the workload's certificate: so the control plane has proof who it is that trusts, and with which
 * certificate it serves. Opened anew with each new certificate and after each failure.
 */
export class TrustClient {
  readonly #options: TrustClientOptions;
  readonly #deps: TrustClientDeps;
  readonly #backoff: Backoff;
  #secret: WorkloadSecret | undefined;
  #connection: Connection | undefined;
  #timer: Timer | undefined;
  #attempts = 0;
  #isClosed = false;

  constructor(options: TrustClientOptions, deps: TrustClientDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#backoff = new Backoff(RETRY_DELAY, deps.random);
  }

  /** Opens the stream with this certificate; again when it is another than before. */
  open(secret: WorkloadSecret): void {
    if (this.#isClosed || this.#secret?.serial === secret.serial) return;
    this.#secret = secret;
    void this.#connect();
  }

  /** Tells who connects to the workload by now, if there is a stream. */
  reportConnections(): void {
    if (this.#connection) this.#report(this.#connection);
  }

  /** Says farewell (it needs no roots any more): the keys of this workload are gone. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    const connection = this.#connection;
    this.#connection = undefined;
    this.#secret = undefined;
    if (!connection) return;
    await new Promise<void>((resolve) => {
      const timer = this.#deps.clock.after(FAREWELL_MS_MAX, resolve);
      void connection.ended.then(() => {
        timer.cancel();
        resolve();
      });
      connection.call.send(encodeTrustRequest({ unsubscribe: ROOT_SECRET_NAME }));
      connection.call.finish();
    });
    connection.call.cancel();
    connection.client.close();
  }

  async #connect(): Promise<void> {
    this.#timer?.cancel();
    this.#attempts += 1;
    const attempt = this.#attempts;
    try {
      const rootsPem = await this.#deps.roots.current();
      if (attempt !== this.#attempts || this.#isClosed || !this.#secret) return;
      const before = this.#connection;
      this.#connection = this.#dial(rootsPem, this.#secret);
      before?.call.cancel();
      before?.client.close();
    } catch (error) {
      this.#retry(error);
    }
  }

  #dial(rootPem: string, own: WorkloadSecret): Connection {
    const { address, serverName, node } = this.#options;
    const { clock } = this.#deps;
    const client = new GrpcClient(
      { address, serverName, rootPem, own, keepAlive: KEEP_ALIVE },
      { clock },
    );
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const call = client.stream(METHOD, {
      onMessage: (bytes) => this.#receive(bytes, connection),
      onEnd: (error) => {
        resolve();
        this.#lost(error, connection);
      },
    });
    const connection = { client, call, ended };
    const subscribe = [ROOT_SECRET_NAME, TRUST_BUNDLES_NAME];
    call.send(encodeTrustRequest({ node, subscribe }));
    this.#report(connection);
    return connection;
  }

  /** As metadata of the node: the protocol has no message of its own for it. */
  #report({ call }: Connection): void {
    const { node, connections } = this.#options;
    const report = connections();
    if (!report) return;
    const metadata = { ...node.metadata, [CONNECTIONS_FIELD]: JSON.stringify(report) };
    call.send(encodeTrustRequest({ node: { ...node, metadata } }));
  }

  #receive(bytes: Uint8Array, connection: Connection): void {
    let response: TrustResponse;
    try {
      response = decodeTrustResponse(bytes);
    } catch (error) {
      connection.call.cancel();
      this.#lost(error, connection);
      return;
    }
    this.#take(response, connection);
  }

  #take({ nonce, bundles, texts }: TrustResponse, connection: Connection): void {
    if (connection !== this.#connection) return;
    const answer = (refusal?: string): void => {
      if (connection !== this.#connection) return;
      const request = refusal === undefined ? { nonce } : { nonce, refusal };
      connection.call.send(encodeTrustRequest(request));
    };
    const bundle = bundles.get(ROOT_SECRET_NAME);
    const domains = texts.get(TRUST_BUNDLES_NAME);
    if (!bundle && domains === undefined) return;
    this.#backoff.reset();
    if (domains !== undefined) answer(this.#options.onDomains(domains));
    if (bundle) this.#options.onBundle(bundle, answer);
  }

  #lost(error: unknown, connection: Connection): void {
    connection.client.close();
    if (connection !== this.#connection) return;
    this.#connection = undefined;
    this.#retry(error);
  }

  #retry(error: unknown): void {
    if (this.#isClosed) return;
    const retryMs = this.#backoff.nextDelayMs();
    this.#deps.log.debug('no word from the control plane what to trust', { retryMs, error });
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.after(retryMs, () => void this.#connect());
  }
}
