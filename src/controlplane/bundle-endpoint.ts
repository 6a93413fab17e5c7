import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { present } from '#base/assert.ts';
import { BulwarkError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { ServingCertificate, ServingMaterial } from '#controlplane/serving-certificate.ts';

export interface BundleEndpointOptions {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  /** `iss` of our tokens; without it there is nothing for OIDC clients. */
  readonly issuer: string | undefined;
}

export interface BundleEndpointDeps {
  readonly serving: Pick<ServingCertificate, 'material' | 'onRenewed'>;
  /** The bundle as it is now, JSON. */
  readonly bundle: () => string;
  /** The keys for tokens as a plain JSON Web Key Set. */
  readonly keys: () => string;
  readonly log: Logger;
}

const TLS_MIN = 'TLSv1.2' as const;
const HEADERS_MS_MAX = 5000;
const CONNECTIONS_MAX = 1000;

/**
 * Where other trust domains fetch what vouches for this one (SPIFFE Federation section 5.2), and
 * where clients of OIDC find the keys of our tokens (OpenID Connect Discovery). Everything here is
 * public.
 */
export class BundleEndpoint implements Component {
  readonly name = 'bundle-endpoint';
  readonly #options: BundleEndpointOptions;
  readonly #deps: BundleEndpointDeps;
  #server: Server | undefined;

  constructor(options: BundleEndpointOptions, deps: BundleEndpointDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** The port it listens on, once started. */
  get port(): number {
    const address = present(this.#server, 'a started bundle endpoint').address();
    return (address as AddressInfo).port;
  }

  /** @throws BulwarkError NET_LISTEN_FAILED */
  async start(): Promise<void> {
    const { serving } = this.#deps;
    const material = present(serving.material, 'the certificate of the bundle endpoint');
    const server = createServer({ ...tlsOf(material), minVersion: TLS_MIN }, (request, response) =>
      this.#answer(request, response),
    );
    server.headersTimeout = HEADERS_MS_MAX;
    server.requestTimeout = HEADERS_MS_MAX;
    server.maxConnections = CONNECTIONS_MAX;
    server.on('tlsClientError', (error) =>
      this.#deps.log.debug('a client of the bundle endpoint failed', { error }),
    );
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) =>
        reject(
          new BulwarkError('NET_LISTEN_FAILED', `the bundle endpoint cannot listen on ${port}`, {
            remedy: 'set bundleEndpointPort to a free one',
            cause,
          }),
        ),
      );
      server.listen(port, host, resolve);
    });
    this.#server = server;
    serving.onRenewed((renewed) => server.setSecureContext(tlsOf(renewed)));
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  #answer({ method, url = '' }: IncomingMessage, response: ServerResponse): void {
    const answer = this.#documents[url];
    if (!answer) return void response.writeHead(404).end();
    if (method !== 'GET' && method !== 'HEAD')
      return void response.writeHead(405, { allow: 'GET, HEAD' }).end();
    const body = answer();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(method === 'HEAD' ? undefined : body);
  }

  get #documents(): Readonly<Record<string, () => string>> {
    const { bundle, keys } = this.#deps;
    const { issuer } = this.#options;
    return {
      '/': bundle,
      '/bundle': bundle,
      ...(issuer !== undefined && {
        '/.well-known/openid-configuration': () => discovery(issuer),
        '/keys': keys,
      }),
    };
  }
}

/** What OIDC clients need to verify tokens; nobody logs in here. */
function discovery(issuer: string): string {
  return JSON.stringify({
    issuer,
    jwks_uri: `${issuer.replace(/\/$/, '')}/keys`,
    authorization_endpoint: '',
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  });
}

function tlsOf({ privateKeyPem, certificateChainPem }: ServingMaterial) {
  return { key: privateKeyPem.reveal(), cert: certificateChainPem };
}
