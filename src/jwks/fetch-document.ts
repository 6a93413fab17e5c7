import { lookup as systemLookup } from 'node:dns/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { AddressRules } from '#jwks/address-rules.ts';
import type { ExtraRoots } from '#jwks/extra-roots.ts';

export interface FetchDocumentDeps {
  readonly rules: AddressRules;
  readonly roots: ExtraRoots;
  /** Addresses of a name; the system's when left out. */
  readonly lookup?: (host: string) => Promise<readonly { address: string; family: number }[]>;
}

/** What came of one request. */
type Answer =
  | { readonly kind: 'document'; readonly text: string }
  | { readonly kind: 'redirect'; readonly location: string };

const REDIRECTS: ReadonlySet<number | undefined> = new Set([301, 302, 303, 307, 308]);

/**
 * Fetches a small document from an issuer of tokens. Every address is judged when it is dialled,
 * after names are resolved, on every step of a redirect; nothing of a refused answer is repeated.
 * @throws BulwarkError JWKS_FETCH_FAILED, in words for the operator
 */
export async function fetchDocument(
  url: string,
  options: { readonly timeoutMs: number },
  deps: FetchDocumentDeps,
): Promise<string> {
  const signal = AbortSignal.timeout(options.timeoutMs);
  let at = parseUrl(url);
  for (let step = 0; step <= LIMITS.jwksRedirectsMax; step += 1) {
    const answer = await ask(at, signal, deps);
    if (answer.kind === 'document') return answer.text;
    const next = parseUrl(answer.location, at);
    if (at.protocol === 'https:' && next.protocol !== 'https:')
      throw failed(at, 'it redirects from https to http');
    at = next;
  }
  throw failed(parseUrl(url), `it redirects more than ${LIMITS.jwksRedirectsMax} times`);
}

function parseUrl(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new BulwarkError('JWKS_FETCH_FAILED', 'the address is no URL of http or https');
  }
  return url;
}

async function ask(url: URL, signal: AbortSignal, deps: FetchDocumentDeps): Promise<Answer> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  // No name to be resolved: the look-up that judges addresses is not asked.
  if (isIP(host) !== 0 && !deps.rules.permits(host)) throw blocked(url, host);
  const ca = url.protocol === 'https:' ? await deps.roots.for(host) : undefined;
  const response = await open(url, { signal, ca }, deps);
  const { statusCode, headers } = response;
  if (REDIRECTS.has(statusCode) && headers.location !== undefined) {
    response.destroy();
    return { kind: 'redirect', location: headers.location };
  }
  if (statusCode !== 200) {
    response.destroy();
    throw failed(url, `it answers ${statusCode}`);
  }
  return { kind: 'document', text: await readBody(url, response, signal) };
}

function open(
  url: URL,
  { signal, ca }: { readonly signal: AbortSignal; readonly ca: readonly string[] | undefined },
  deps: FetchDocumentDeps,
): Promise<IncomingMessage> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      agent: false,
      signal,
      lookup: guardedLookup(url, deps),
      headers: { accept: 'application/json', 'user-agent': 'bulwark' },
      ...(ca === undefined ? {} : { ca: [...ca] }),
    });
    sent.on('response', resolve);
    sent.on('error', (cause) => reject(signal.aborted ? late(url) : explained(url, cause)));
    sent.end();
  });
}

/** Resolves a name, and gives only the addresses that may be dialled. */
function guardedLookup(url: URL, { rules, lookup }: FetchDocumentDeps): LookupFunction {
  const resolve = lookup ?? ((host: string) => systemLookup(host, { all: true }));
  return (host, options, callback) => {
    resolve(host).then(
      (found) => {
        const permitted = found.filter(({ address }) => rules.permits(address));
        const [first] = permitted;
        if (first === undefined) {
          callback(blocked(url, found.map(({ address }) => address).join(', ')), '');
        } else if (options.all) callback(null, [...permitted]);
        else callback(null, first.address, first.family);
      },
      (cause) => callback(cause, ''),
    );
  };
}

async function readBody(url: URL, body: IncomingMessage, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > LIMITS.jwksBytesMax) break;
      chunks.push(chunk);
    }
  } catch (cause) {
    throw signal.aborted ? late(url) : explained(url, cause);
  }
  if (length > LIMITS.jwksBytesMax)
    throw failed(url, `its answer has more than ${LIMITS.jwksBytesMax} bytes`);
  return Buffer.concat(chunks).toString('utf8');
}

function explained(url: URL, cause: unknown): BulwarkError {
  if (cause instanceof BulwarkError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return failed(url, message === '' ? 'the connection failed' : message, cause);
}

function late(url: URL): BulwarkError {
  return failed(url, 'no answer in time');
}

function blocked(url: URL, addresses: string): BulwarkError {
  return new BulwarkError('JWKS_FETCH_FAILED', `${place(url)}: ${addresses} may not be asked`, {
    remedy: 'if an issuer is there, add its address to the setting jwksAllowedAddresses',
  });
}

function failed(url: URL, what: string, cause?: unknown): BulwarkError {
  const message = `${place(url)}: ${what}`;
  return new BulwarkError('JWKS_FETCH_FAILED', message, cause === undefined ? {} : { cause });
}

/** A URL without what may be secret. */
function place({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}
