import { lookup as lookUp } from 'node:dns/promises';
import { request } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { PeerCertificate } from 'node:tls';
import type { Clock } from '#base/clock.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';

/** To which addresses connections may be opened. */
export interface DialRules {
  permits(address: string): boolean;
}

export interface HttpsGetOptions {
  readonly url: string;
  /** Roots that the server is verified against, PEM; those of the system when left out. */
  readonly roots?: string | undefined;
  /** Checks who the server is, in place of its host name; gives what is wrong. */
  readonly checkServer?: (certificate: PeerCertificate) => Error | undefined;
  readonly rules: DialRules;
  /** Bytes. */
  readonly sizeMax: number;
  /** Milliseconds for all of it. */
  readonly withinMs: number;
  /** Gives up when it aborts. */
  readonly signal: AbortSignal;
}

/**
 * Gets a small text over https, for URLs that users write: addresses are checked when they are
 * dialled, nothing is followed elsewhere, and size and time are bounded.
 * @throws BulwarkError NET_FETCH_FAILED, NET_ADDRESS_REFUSED
 */
export async function httpsGet(
  options: HttpsGetOptions,
  { clock }: { readonly clock: Clock },
): Promise<string> {
  const { url, withinMs } = options;
  const late = new AbortController();
  const timer = clock.after(withinMs, () => late.abort());
  try {
    return await get(options, AbortSignal.any([late.signal, options.signal]));
  } catch (cause) {
    if (isBulwarkError(cause)) throw cause;
    const reason = late.signal.aborted
      ? `there was no answer in ${withinMs} ms`
      : (cause as Error).message;
    throw new BulwarkError('NET_FETCH_FAILED', `cannot fetch ${url}: ${reason}`, {
      data: { url, reason },
      cause,
    });
  } finally {
    timer.cancel();
  }
}

function get(options: HttpsGetOptions, signal: AbortSignal): Promise<string> {
  const { roots, checkServer, rules, sizeMax } = options;
  const url = new URL(options.url);
  // A host that is an address is never looked up.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0) checkAddress(host, rules);
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        agent: false,
        lookup: checkedLookup(rules),
        ...(roots === undefined ? {} : { ca: roots }),
        ...(checkServer && {
          checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
            checkServer(certificate),
        }),
        minVersion: 'TLSv1.2',
        headers: { accept: 'application/json' },
        signal,
      },
      (response) => {
        const { statusCode } = response;
        if (statusCode !== 200) {
          response.destroy();
          reject(new Error(`the answer was ${statusCode}`));
          return;
        }
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          chunks.push(chunk);
          if (size > sizeMax) response.destroy(new Error(`it is larger than ${sizeMax} bytes`));
        });
        response.on('error', reject);
        response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

/** A look-up by which every address is judged before it is dialled (against DNS rebinding). */
function checkedLookup(rules: DialRules): LookupFunction {
  return (hostname, options, callback) => {
    lookUp(hostname, { family: options.family ?? 0, all: true })
      .then((addresses) => {
        for (const { address } of addresses) checkAddress(address, rules);
        const [first] = addresses;
        if (options.all) callback(null, addresses);
        else callback(null, first?.address ?? '', first?.family);
      })
      .catch((error: Error) => callback(error, ''));
  };
}

function checkAddress(address: string, rules: DialRules): void {
  if (rules.permits(address)) return;
  throw new BulwarkError('NET_ADDRESS_REFUSED', `${address} may not be asked`, {
    remedy: 'where it is meant, add the address to the setting jwksAllowedAddresses',
    data: { address },
  });
}
