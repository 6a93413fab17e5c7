import type { ConnectionReport } from '#agent/connections/connection-watch.ts';
import { ROOT_SECRET_NAME, TRUST_BUNDLES_NAME } from '#agent/sds/secret-names.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import type { TrustBundle } from '#agent/trust/trust-bundle.ts';
import type { TrustConnections } from '#agent/trust/trust-connections.ts';
import {
  decodeTrustResponse,
  encodeTrustRequest,
  type TrustNode,
  type TrustResponse,
} from '#agent/trust/trust-messages.ts';
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { GrpcClientStream } from '#base/grpc/client.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';

export interface TrustClientOptions {
  readonly node: TrustNode;
  /** Called with each bundle; `answer` is to be called once, with a reason when it is refused. */
  readonly onBundle: (bundle: TrustBundle, answer: (refusal?: string) => void) => void;
  /** Called with what is known of all trust domains; gives the reason when it is refused. */
  readonly onDomains: (text: string) => string | undefined;
  /** What each new stream begins by telling of the workload's connections. */
  readonly connections: () => ConnectionReport | undefined;
}

export interface TrustClientDeps {
  /** Shared with other workloads. */
  readonly connections: Pick<TrustConnections, 'open'>;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

/** The stream that counts. */
interface OpenStream {
  /** Which attempt it came of. */
  readonly attempt: number;
  readonly call: GrpcClientStream;
  /** Settles when the call is over, however. */
  readonly ended: Promise<void>;
}

/** Beside what parseProxyNode reads; xds/serve/connection-reports.ts reads it. */
const CONNECTIONS_FIELD = 'BULWARK_CONNECTIONS';
const RETRY_DELAY = { delayMsMin: 200, delayMsMax: 10_000 };
/** How long a farewell may take. */
const FAREWELL_MS_MAX = 500;

/**
 * Asks the control plane what a workload is to trust, on a stream of its own that begins with a
 * proof of the workload's certificate: so the control plane knows who it is that trusts, and with
 * which certificate it serves. Opened anew with each new certificate and after each failure.
 */
export class TrustClient {
  readonly #options: TrustClientOptions;
  readonly #deps: TrustClientDeps;
  readonly #backoff: Backoff;
  #secret: WorkloadSecret | undefined;
  #stream: OpenStream | undefined;
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
    if (this.#stream) this.#report(this.#stream);
  }

  /** Says farewell (it needs no roots any more): the keys of this workload are gone. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    const stream = this.#stream;
    this.#stream = undefined;
    this.#secret = undefined;
    if (!stream) return;
    await new Promise<void>((resolve) => {
      const timer = this.#deps.clock.after(FAREWELL_MS_MAX, resolve);
      void stream.ended.then(() => {
        timer.cancel();
        resolve();
      });
      stream.call.send(encodeTrustRequest({ unsubscribe: ROOT_SECRET_NAME }));
      stream.call.finish();
    });
    stream.call.cancel();
  }

  async #connect(): Promise<void> {
    this.#timer?.cancel();
    this.#attempts += 1;
    const attempt = this.#attempts;
    const isLatest = (): boolean => attempt === this.#attempts && !this.#isClosed;
    try {
      if (!this.#secret) return;
      const opened = await this.#openStream(this.#secret, attempt);
      if (!isLatest()) {
        opened.call.cancel();
        return;
      }
      this.#stream?.call.cancel();
      this.#stream = opened;
      const subscribe = [ROOT_SECRET_NAME, TRUST_BUNDLES_NAME];
      opened.call.send(encodeTrustRequest({ node: this.#options.node, subscribe }));
      this.#report(opened);
    } catch (error) {
      if (isLatest()) this.#retry(error);
    }
  }

  async #openStream(own: WorkloadSecret, attempt: number): Promise<OpenStream> {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const call = await this.#deps.connections.open(own, {
      onMessage: (bytes) => this.#receive(bytes, attempt),
      onEnd: (error) => {
        resolve();
        this.#lost(error, attempt);
      },
    });
    return { attempt, call, ended };
  }

  /** As metadata of the node: the protocol has no message of its own for it. */
  #report({ call }: OpenStream): void {
    const { node, connections } = this.#options;
    const report = connections();
    if (!report) return;
    const metadata = { ...node.metadata, [CONNECTIONS_FIELD]: JSON.stringify(report) };
    call.send(encodeTrustRequest({ node: { ...node, metadata } }));
  }

  #receive(bytes: Uint8Array, attempt: number): void {
    const stream = this.#stream;
    if (stream?.attempt !== attempt) return;
    let response: TrustResponse;
    try {
      response = decodeTrustResponse(bytes);
    } catch (error) {
      stream.call.cancel();
      this.#lost(error, attempt);
      return;
    }
    this.#take(response, stream);
  }

  #take({ nonce, bundles, texts }: TrustResponse, stream: OpenStream): void {
    const answer = (refusal?: string): void => {
      if (stream !== this.#stream) return;
      const request = refusal === undefined ? { nonce } : { nonce, refusal };
      stream.call.send(encodeTrustRequest(request));
    };
    const bundle = bundles.get(ROOT_SECRET_NAME);
    const domains = texts.get(TRUST_BUNDLES_NAME);
    if (!bundle && domains === undefined) return;
    this.#backoff.reset();
    if (domains !== undefined) answer(this.#options.onDomains(domains));
    if (bundle) this.#options.onBundle(bundle, answer);
  }

  #lost(error: unknown, attempt: number): void {
    if (attempt !== this.#stream?.attempt) return;
    this.#stream = undefined;
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
