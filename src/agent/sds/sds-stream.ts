import {
  decodeDeltaRequest,
  decodeWorldRequest,
  encodeDeltaResponse,
  encodeWorldResponse,
  type RepeatableSecret,
  type SdsRequest,
  SECRET_TYPE_URL,
  type SecretResource,
  type VersionedSecret,
} from '#agent/sds/messages.ts';
import {
  frameMessage,
  GRPC_STATUS,
  type GrpcServerStream,
  GrpcStatusError,
} from '#base/grpc/grpc.ts';

/** The two variants of the protocol. */
export type SdsVariant = 'delta' | 'world';

/** What a stream needs from the server it belongs to. */
export interface SdsStreamHost {
  /** Whether a secret is not there yet and will be: who asks for it has to wait. */
  isComing(name: string): boolean;
  /** The present content of a secret; undefined when there is none of that name. */
  find(name: string): RepeatableSecret | undefined;
  /** How many secrets were taken so far. */
  acceptances(): number;
  /** A pushed secret was taken. */
  accepted(name: string, version: string): void;
  /** A pushed secret was not taken; `reason` is the client's text. */
  rejected(name: string, version: string, reason: string): void;
  pushed(name: string): void;
  unknown(name: string): void;
}

/** How a client answered a secret. */
export interface SecretAnswer {
  readonly version: string;
  /** The client's text; undefined when it took the secret. */
  readonly reason: string | undefined;
}

interface Outstanding {
  readonly nonce: string;
  /** How many secrets the client had taken by then, on all its streams. */
  readonly acceptedBefore: number;
  readonly secrets: readonly VersionedSecret[];
}

/** Names that one stream may want, and their length. Envoy asks for one name on each stream. */
const NAMES_MAX = 100;
const NAME_LENGTH_MAX = 512;

/**
 * One client of SDS. At most one response is unanswered at any time; what changes meanwhile goes
 * out after the answer, the latest content only.
 */
export class SdsStream {
  readonly #stream: GrpcServerStream;
  readonly #host: SdsStreamHost;
  readonly #variant: SdsVariant;
  readonly #wanted = new Set<string>();
  /** What is to be pushed, known and unknown names. */
  readonly #due = new Set<string>();
  /** Pushed and not taken. */
  readonly #rejected = new Set<string>();
  /** Names whose next push is in the other encoding. */
  readonly #repeated = new Set<string>();
  /** The last answer for each secret. */
  readonly #answers = new Map<string, SecretAnswer>();
  #outstanding: Outstanding | undefined;
  #pushes = 0;

  constructor(stream: GrpcServerStream, variant: SdsVariant, host: SdsStreamHost) {
    this.#stream = stream;
    this.#variant = variant;
    this.#host = host;
  }

  /** @throws GrpcStatusError when the request is malformed; the call then ends */
  take(message: Uint8Array): void {
    const request = this.#decode(message);
    if (request.typeUrl !== '' && request.typeUrl !== SECRET_TYPE_URL)
      throw new GrpcStatusError(GRPC_STATUS.invalidArgument, 'only secrets are served here');
    if (request.nonce !== '') this.#takeAnswer(request);
    this.#subscribe(request);
    this.#flush();
  }

  /** A secret has new content. */
  changed(name: string): void {
    if (!this.#wanted.has(name)) return;
    this.#due.add(name);
    this.#flush();
  }

  /**
   * Pushes again what was rejected: Envoy answers for a good secret with the fault of a bad one,
   * and does not take it up by itself once the bad one is replaced.
   */
  retryRejected(): void {
    for (const name of this.#rejected) this.#again(name);
    this.#flush();
  }

  /** Whether it wants a secret of this name. */
  wants(name: string): boolean {
    return this.#wanted.has(name);
  }

  /** The last answer to a secret. */
  answerTo(name: string): SecretAnswer | undefined {
    return this.#answers.get(name);
  }

  #decode(message: Uint8Array): SdsRequest {
    try {
      return this.#variant === 'delta' ? decodeDeltaRequest(message) : decodeWorldRequest(message);
    } catch (cause) {
      throw new GrpcStatusError(GRPC_STATUS.invalidArgument, 'the request does not parse', cause);
    }
  }

  #takeAnswer({ nonce, rejection }: SdsRequest): void {
    const outstanding = this.#outstanding;
    if (!outstanding || outstanding.nonce !== nonce) return; // an answer to an earlier response
    this.#outstanding = undefined;
    for (const { name, version } of outstanding.secrets) {
      this.#answers.set(name, { version, reason: rejection });
      if (rejection === undefined) {
        this.#rejected.delete(name);
        this.#host.accepted(name, version);
      } else {
        this.#rejected.add(name);
        this.#host.rejected(name, version, rejection);
        // The success that gives it another chance came before its answer.
        if (this.#host.acceptances() > outstanding.acceptedBefore) this.#again(name);
      }
    }
  }

  #subscribe({ names, unsubscribe }: SdsRequest): void {
    if (this.#variant === 'world') {
      // Every request of this variant, also an answer, repeats all names.
      for (const name of this.#wanted) if (!names.includes(name)) this.#forget(name);
    }
    for (const name of unsubscribe) this.#forget(name);
    for (const name of names) {
      if (this.#variant === 'world' && this.#wanted.has(name)) continue;
      if (this.#wanted.size >= NAMES_MAX || name.length > NAME_LENGTH_MAX)
        throw new GrpcStatusError(GRPC_STATUS.resourceExhausted, 'too many or too long names');
      this.#wanted.add(name);
      this.#due.add(name);
    }
  }

  /** In other bytes than before: Envoy says yes to those that it saw last unseen. */
  #again(name: string): void {
    this.#due.add(name);
    if (!this.#repeated.delete(name)) this.#repeated.add(name);
  }

  #forget(name: string): void {
    this.#wanted.delete(name);
    this.#due.delete(name);
    this.#rejected.delete(name);
    this.#repeated.delete(name);
    this.#answers.delete(name);
  }

  #flush(): void {
    if (this.#outstanding || this.#due.size === 0) return;
    const names = [...this.#due].filter((name) => !this.#host.isComing(name)).sort();
    if (names.length === 0) return;
    for (const name of names) this.#due.delete(name);
    const resources = names.flatMap((name) => this.#content(name) ?? []);
    const unknown = names.filter((name) => !resources.some((found) => found.name === name));
    for (const name of unknown) this.#host.unknown(name);
    // State of the world has no way to say "there is none": it waits.
    if (resources.length === 0 && this.#variant === 'world') return;
    this.#pushes += 1;
    const nonce = String(this.#pushes);
    const secrets = resources.map(({ name, version }) => ({ name, version }));
    this.#outstanding = { nonce, secrets, acceptedBefore: this.#host.acceptances() };
    this.#stream.writeFrame(frameMessage(this.#encode(resources, unknown, nonce)));
    for (const { name } of resources) this.#host.pushed(name);
  }

  #content(name: string): SecretResource | undefined {
    const found = this.#host.find(name);
    if (!found) return undefined;
    const { version, encode } = found;
    return { name, version, secret: encode(this.#repeated.has(name) ? '\n' : '') };
  }

  #encode(
    resources: readonly SecretResource[],
    unknown: readonly string[],
    nonce: string,
  ): Uint8Array {
    if (this.#variant === 'delta') return encodeDeltaResponse(resources, unknown, nonce);
    const version = resources.map((resource) => resource.version).join('-');
    return encodeWorldResponse(resources, version, nonce);
  }
}
