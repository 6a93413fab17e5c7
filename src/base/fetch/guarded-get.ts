import { lookup as systemLookup } from 'node:dns/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { PeerCertificate } from 'node:tls';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';

/** To which addresses connections may be opened. */
export interface DialRules {
  permits(address: string): boolean;
}

/** Addresses of a name. */
export type Lookup = (
  host: string,
) => Promise<readonly { readonly address: string; readonly family: number }[]>;

export interface GuardedGetOptions {
  /** Of http or https. */
  readonly url: URL;
  readonly rules: DialRules;
  /** Roots that the server is verified against, PEM; those of Node when left out. */
  readonly roots?: string | readonly string[] | undefined;
  /** Checks who the server is, in place of its host name; gives what is wrong. */
  readonly checkServer?: ((certificate: PeerCertificate) => Error | undefined) | undefined;
  /** Bytes of the answer. */
  readonly sizeMax: number;
  /** Gives up when it aborts. */
  readonly signal: AbortSignal;
  /** The system's when left out. */
  readonly lookup?: Lookup | undefined;
}

/** What came back: a text, or where else to ask. */
export type GuardedAnswer =
  | { readonly kind: 'document'; readonly text: string }
  | { readonly kind: 'redirect'; readonly location: string };

const REDIRECTS: ReadonlySet<number | undefined> = new Set([301, 302, 303, 307, 308]);

/**
 * One request for a small text, at a URL that a user wrote. Every address is judged when it is
 * dialled, after names are resolved (against DNS rebinding); nothing is followed elsewhere, size
 * and time are bounded, and nothing of a refused answer is repeated, nor the query of the URL.
 * @throws BulwarkError NET_FETCH_FAILED, NET_ADDRESS_REFUSED
 */
export async function guardedGet(options: GuardedGetOptions): Promise<GuardedAnswer> {
  const { url, rules, signal } = options;
  const host = hostOf(url);
  // An address is never looked up, so the look-up that judges is not asked.
  if (isIP(host) !== 0 && !rules.permits(host)) throw refused(url, host);
  try {
    const response = await open(options);
    const { statusCode, headers } = response;
    if (REDIRECTS.has(statusCode) && headers.location !== undefined) {
      response.destroy();
      return { kind: 'redirect', location: headers.location };
    }
    if (statusCode !== 200) {
      response.destroy();
      throw new Error(`it answers ${statusCode}`);
    }
    return { kind: 'document', text: await readBody(response, options.sizeMax) };
  } catch (cause) {
    if (isBulwarkError(cause)) throw cause;
    throw fetchFailed(url, signal.aborted ? 'no answer in time' : reasonOf(cause), cause);
  }
}

/** The host of a URL; an IPv6 address without its brackets. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

/** What went wrong with a URL, without what of it may be secret. */
export function fetchFailed(url: URL, reason: string, cause?: unknown): BulwarkError {
  return new BulwarkError('NET_FETCH_FAILED', `${placeOf(url)}: ${reason}`, {
    data: { reason },
    ...(cause === undefined ? {} : { cause }),
  });
}

function placeOf({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}

function open({
  url,
  rules,
  roots,
  checkServer,
  signal,
  lookup,
}: GuardedGetOptions): Promise<IncomingMessage> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      agent: false,
      signal,
      lookup: guardedLookup(url, rules, lookup),
      headers: { accept: 'application/json', 'user-agent': 'bulwark' },
      minVersion: 'TLSv1.2',
      ...(roots === undefined ? {} : { ca: typeof roots === 'string' ? roots : [...roots] }),
      ...(checkServer && {
        checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
          checkServer(certificate),
      }),
    });
    sent.on('response', resolve);
    sent.on('error', reject);
    sent.end();
  });
}

/** Resolves a name, and gives only the addresses that may be dialled. */
function guardedLookup(url: URL, rules: DialRules, lookup?: Lookup): LookupFunction {
  const resolve: Lookup = lookup ?? ((host) => systemLookup(host, { all: true }));
  return (host, options, callback) => {
    resolve(host).then(
      (found) => {
        const permitted = found.filter(({ address }) => rules.permits(address));
        const [first] = permitted;
        if (first === undefined) {
          callback(refused(url, found.map(({ address }) => address).join(', ')), '');
        } else if (options.all) callback(null, [...permitted]);
        else callback(null, first.address, first.family);
      },
      (cause) => callback(cause, ''),
    );
  };
}

async function readBody(body: IncomingMessage, sizeMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Leaving the loop ends the connection.
    if (size > sizeMax) throw new Error(`its answer has more than ${sizeMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message === '' ? 'the connection failed' : message;
}

function refused(url: URL, addresses: string): BulwarkError {
  return new BulwarkError('NET_ADDRESS_REFUSED', `${placeOf(url)}: ${addresses} may not be asked`, {
    remedy: 'where it is meant, add the address to the setting jwksAllowedAddresses',
    data: { addresses },
  });
}
