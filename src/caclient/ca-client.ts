import {
  type ChannelCredentials,
  Client,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
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
  /**
   * Has a request signed.
   * @returns PEM texts, leaf first, root last: not checked yet
   * @throws BulwarkError AGENT_CA_UNREACHABLE (try again), CA_UNAUTHENTICATED (the proof),
   * GRPC_FAILED (anything else   that it answers), FILES_UNREADABLE (the root file)
   */
  sign(request: CertificateRequest, credential: CaCredential): Promise<readonly string[]>;
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
  readonly decode: (bytes: Buffer) => R;
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
const CALL_MS_MAX = 10_000;
/** The connection is for one call now and the next at half life. */
const IDLE_MS = 5000;

/** The client of the certificate service and of that for tokens, on TLS with a pinned root only. */
export class CaClient implements CertificateAuthority, TokenAuthority {
  /** What the authority is verified against. */
  readonly roots: ServerRoots;
  readonly #options: CaClientOptions;
  readonly #names: { readonly address: string; readonly root: string };
  readonly #clock: Clock;
  #client: Client | undefined;
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

  async sign(request: CertificateRequest, credential: CaCredential): Promise<readonly string[]> {
    const metadata = new Metadata();
    if (!(credential instanceof Secret)) return this.#callAs(credential, SIGN, request);
    metadata.set('authorization', `Bearer ${credential.reveal()}`);
    return this.#call(await this.#connected(), { ...SIGN, request }, metadata);
  }

  async issueToken(audience: readonly string[], own: OwnCertificate): Promise<IssuedToken> {
    return this.#callAs(own, ISSUE_TOKEN, audience);
  }

  /** On a connection for one call: what it proves goes with the call. */
  async #callAs<Q, R>(own: OwnCertificate, method: Method<Q, R>, request: Q): Promise<R> {
    const client = await this.#connected(own);
    return this.#call(client, { ...method, request }, new Metadata()).finally(() => client.close());
  }

  #call<Q, R>(
    client: Client,
    { path, encode, decode, request }: Method<Q, R> & { readonly request: Q },
    metadata: Metadata,
  ): Promise<R> {
    const options = { deadline: this.#clock.now() + CALL_MS_MAX };
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        encode,
        decode,
        request,
        metadata,
        options,
        (error, response) => {
          if (!error) return resolve(response ?? decode(Buffer.alloc(0)));
          if (isUnreachable(error)) this.close();
          reject(this.#failure(error));
        },
      );
    });
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  /**
   * The shared connection, made anew after a failure and when the root file changed; one of its own
   * for who has a certificate.
   */
  async #connected(own?: OwnCertificate): Promise<Client> {
    const { rootFile } = this.#options;
    const rootPem = await this.roots.current();
    if (rootPem !== this.#rootPem) this.close();
    this.#rootPem = rootPem;
    const { root: setting } = this.#names;
    if (own) return this.#clientOf(tlsOf(rootPem, { rootFile, setting }, own));
    this.#client ??= this.#clientOf(tlsOf(rootPem, { rootFile, setting }));
    return this.#client;
  }

  #clientOf(tls: ChannelCredentials): Client {
    const { address, serverName } = this.#options;
    return new Client(address, tls, {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.ssl_target_name_override': serverName,
      'grpc.default_authority': serverName,
      'grpc.client_idle_timeout_ms': IDLE_MS,
      'grpc.max_receive_message_length': LIMITS.grpcMessageBytesMax,
      // Retries are ours, and a token goes to the address that was set and nowhere else.
      'grpc.enable_retries': 0,
      'grpc.enable_http_proxy': 0,
    });
  }

  #failure(error: ServiceError): BulwarkError {
    const { address, rootFile, serverName } = this.#options;
    const data = { address, status: error.code, detail: error.details };
    if (isUnreachable(error)) {
      const isTls = /certificate|altnames|self.signed|TLS|SSL|issuer/i.test(error.details);
      const remedy = isTls
        ? `check that ${rootFile} is the root of this mesh and ${serverName} the server's name`
        : `check that the server runs and that ${this.#names.address} is right`;
      const message = isTls
        ? `${address} did not prove to be the certificate authority`
        : `no answer from the certificate authority at ${address}`;
      return new BulwarkError('AGENT_CA_UNREACHABLE', message, { remedy, data, cause: error });
    }
    if (error.code === status.UNAUTHENTICATED) {
      const message = 'the certificate authority did not accept the proof';
      return new BulwarkError('CA_UNAUTHENTICATED', message, { data, cause: error });
    }
    const message = `the certificate authority refused the request: ${error.details}`;
    return new BulwarkError('GRPC_FAILED', message, { data, cause: error });
  }
}

function isUnreachable({ code }: ServiceError): boolean {
  return code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED;
}

function tlsOf(
  rootPem: string,
  { rootFile, setting }: { readonly rootFile: string; readonly setting: string },
  own?: OwnCertificate,
): ChannelCredentials {
  const unusable = (cause?: unknown): BulwarkError =>
    new BulwarkError('PKI_MALFORMED', `${rootFile} holds no certificate`, {
      remedy: `${setting} must be a PEM file with the root certificate of the mesh`,
      cause,
    });
  if (!rootPem.includes('-----BEGIN CERTIFICATE-----')) throw unusable();
  try {
    const roots = Buffer.from(rootPem);
    if (!own) return credentials.createSsl(roots);
    const key = Buffer.from(own.privateKeyPem.reveal());
    return credentials.createSsl(roots, key, Buffer.from(own.chainPem));
  } catch (cause) {
    throw unusable(cause);
  }
}
