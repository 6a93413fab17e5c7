import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import { GrpcClient } from '#base/grpc/client.ts';
import { GrpcCallError } from '#base/grpc/client-call.ts';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { Secret } from '#base/secret.ts';
import {
  type CertificateRequest,
  decodeCertificateResponse,
  encodeCertificateRequest,
} from '#caclient/ca-messages.ts';
import { ServerRoots } from '#caclient/server-roots.ts';
import {
  decodeTokenResponse,
  encodeTokenRequest,
  type IssuedToken,
} from '#caclient/token-messages.ts';

/** Where the authority is and how it proves itself. */
export interface CaClientOptions {
  /** HOST:PORT. */
  readonly address: string;
  /** The DNS name that its certificate must carry. */
  readonly serverName: string;
  /**
   * PEM file with the roots it is verified against; read again for every call, so it may be
   * replaced.
   */
  readonly rootFile: string;
  /** The settings that the two come from, for messages; the agent's when left out. */
  readonly settingNames?: { readonly address: string; readonly root: string };
}

const AGENT_SETTINGS = { address: 'discoveryAddress', root: 'caRoot' };

/** A certificate with its key, to be renewed by. */
export interface OwnCertificate {
  /** Leaf and intermediates, PEM. */
  readonly chainPem: string;
  /** PKCS #8, PEM. */
  readonly privateKeyPem: Secret<string>;
}

/** What a caller proves itself with: a token, or the certificate that it has. */
export type CaCredential = Secret<string> | OwnCertificate;

/** What signs certificates; the real one below, fakes in tests. */
export interface CertificateAuthority {
  /** To be called when `sign` with a token is about to come: saves it the time to connect. */
  prepare?(): void;
  /**
   * Has a request signed.
   * @param signal ends the call
   * @returns PEM texts, leaf first, root last: not checked yet
   * @throws BulwarkError AGENT_CA_UNREACHABLE (try again), CA_UNAUTHENTICATED (the proof),
   * GRPC_FAILED (anything else   that it answers), FILES_UNREADABLE (the root file)
   */
  sign(
    request: CertificateRequest,
    credential: CaCredential,
    signal?: AbortSignal,
  ): Promise<readonly string[]>;
  close(): void;
}

/** Gives workloads tokens; the real one below, fakes in tests. */
export interface TokenAuthority {
  /**
   * Has a JWT-SVID made for who has this certificate.
   * @returns not checked yet
   * @throws BulwarkError as `sign` does
   */
  issueToken(audience: readonly string[], own: OwnCertificate): Promise<IssuedToken>;
}

interface Method<Q, R> {
  readonly path: string;
  readonly encode: (request: Q) => Buffer;
  readonly decode: (bytes: Uint8Array) => R;
}

interface CallOptions {
  /** Names in lower case. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Ends the connection, and every call on it. */
  readonly signal?: AbortSignal | undefined;
}

const SIGN: Method<CertificateRequest, readonly string[]> = {
  path: '/istio.v1.auth.IstioCertificateService/CreateCertificate',
  encode: encodeCertificateRequest,
  decode: decodeCertificateResponse,
};
const ISSUE_TOKEN: Method<readonly string[], IssuedToken> = {
  path: '/bulwark.identity.v1.JwtSvidService/IssueJwtSvid',
  encode: encodeTokenRequest,
  decode: decodeTokenResponse,
};
/** What an agent says of itself in the metadata of a call; ca/csr-service.ts reads it. */
const AGENT_MARK = { 'bulwark-agent': 'true' };
const CALL_MS_MAX = 10_000;
/** The connection is for one call now and the next at half life, if others do not use it, too. */
const IDLE_MS = 5000;
const KEEP_ALIVE = { everyMs: 20_000, answerMs: 10_000 };

/** The client of the certificate service and of that for tokens, on TLS with a pinned root only. */
export class CaClient implements CertificateAuthority, TokenAuthority {
  /** What the authority is verified against. */
  readonly roots: ServerRoots;
  readonly #options: CaClientOptions;
  readonly #names: { readonly address: string; readonly root: string };
  readonly #clock: Clock;
  #client: GrpcClient | undefined;
  #rootPem = '';

  constructor(options: CaClientOptions, deps: { readonly clock: Clock }) {
    this.#options = options;
    const { rootFile, settingNames } = options;
    this.#names = settingNames ?? AGENT_SETTINGS;
    this.roots = settingNames
      ? new ServerRoots(rootFile, `set ${settingNames.root} to the root certificate of that server`)
      : new ServerRoots(rootFile);
    this.#clock = deps.clock;
  }

  prepare(): void {
    // What goes wrong is told by the call.
    this.#connected().then(
      (client) => client.prepare(),
      () => {},
    );
  }

  /**
   * The client for who has no certificate to show, when it verifies the server against these roots:
   * for streams that last, which then need no connection of their own.
   */
  sharedClient(rootsPem: string): GrpcClient | undefined {
    return rootsPem === this.#rootPem ? this.#client : undefined;
  }

  async sign(
    request: CertificateRequest,
    credential: CaCredential,
    signal?: AbortSignal,
  ): Promise<readonly string[]> {
    const mark = request.isAgent ? AGENT_MARK : {};
    if (!(credential instanceof Secret)) {
      const options = { metadata: mark, signal };
      return this.#callAs(credential, SIGN, request, options);
    }
    const metadata = { ...mark, authorization: `Bearer ${credential.reveal()}` };
    return this.#call(await this.#connected(), { ...SIGN, request }, { metadata, signal });
  }

  async issueToken(audience: readonly string[], own: OwnCertificate): Promise<IssuedToken> {
    return this.#callAs(own, ISSUE_TOKEN, audience);
  }

  /** On a connection for one call: what it proves goes with the call. */
  async #callAs<Q, R>(
    own: OwnCertificate,
    method: Method<Q, R>,
    request: Q,
    options: CallOptions = {},
  ): Promise<R> {
    const client = await this.#connected(own);
    return this.#call(client, { ...method, request }, options).finally(() => client.close());
  }

  async #call<Q, R>(
    client: GrpcClient,
    { path, encode, decode, request }: Method<Q, R> & { readonly request: Q },
    { metadata = {}, signal }: CallOptions = {},
  ): Promise<R> {
    const end = (): void => client.close();
    signal?.addEventListener('abort', end);
    try {
      const options = { timeoutMs: CALL_MS_MAX, metadata };
      return decode(await client.unary(path, encode(request), options));
    } catch (cause) {
      const error = asCallError(cause);
      if (isUnreachable(error)) this.close();
      throw this.#failure(error);
    } finally {
      signal?.removeEventListener('abort', end);
    }
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  /**
   * The shared connection, made anew after a failure and when the root file changed; one of its own
   * for who has a certificate.
   */
  async #connected(own?: OwnCertificate): Promise<GrpcClient> {
    const rootPem = await this.roots.current();
    if (rootPem !== this.#rootPem) this.close();
    this.#rootPem = rootPem;
    if (own) return this.#clientOf(rootPem, own);
    this.#client ??= this.#clientOf(rootPem);
    return this.#client;
  }

  #clientOf(rootPem: string, own?: OwnCertificate): GrpcClient {
    const { address, serverName, rootFile } = this.#options;
    const unusable = (cause?: unknown): BulwarkError =>
      new BulwarkError('PKI_MALFORMED', `${rootFile} holds no certificate`, {
        remedy: `${this.#names.root} must be a PEM file with the root certificate of the mesh`,
        cause,
      });
    if (!rootPem.includes('-----BEGIN CERTIFICATE-----')) throw unusable();
    try {
      const times = { idleMs: IDLE_MS, keepAlive: KEEP_ALIVE };
      const options = { address, serverName, rootPem, own, ...times };
      return new GrpcClient(options, { clock: this.#clock });
    } catch (cause) {
      throw unusable(cause);
    }
  }

  #failure(error: GrpcCallError): BulwarkError {
    const { address, rootFile, serverName } = this.#options;
    const data = { address, status: error.status, detail: error.message };
    if (isUnreachable(error)) {
      const isTls = /certificate|altnames|self.signed|TLS|SSL|issuer/i.test(error.message);
      const remedy = isTls
        ? `check that ${rootFile} is the root of this mesh and ${serverName} the server's name`
        : `check that the server runs and that ${this.#names.address} is right`;
      const message = isTls
        ? `${address} did not prove to be the certificate authority`
        : `no answer from the certificate authority at ${address}`;
      return new BulwarkError('AGENT_CA_UNREACHABLE', message, { remedy, data, cause: error });
    }
    if (error.status === GRPC_STATUS.unauthenticated) {
      const message = 'the certificate authority did not accept the proof';
      return new BulwarkError('CA_UNAUTHENTICATED', message, { data, cause: error });
    }
    const message = `the certificate authority refused the request: ${error.message}`;
    return new BulwarkError('GRPC_FAILED', message, { data, cause: error });
  }
}

function isUnreachable({ status }: GrpcCallError): boolean {
  return status === GRPC_STATUS.unavailable || status === GRPC_STATUS.deadlineExceeded;
}

/** What is no answer of the server, such as bytes that are no message, is an internal error. */
function asCallError(cause: unknown): GrpcCallError {
  if (cause instanceof GrpcCallError) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  return new GrpcCallError(GRPC_STATUS.internal, text, cause);
}
