import { BulwarkError } from '#base/errors.ts';
import {
  type DialRules,
  fetchFailed,
  guardedGet,
  hostOf,
  type Lookup,
} from '#base/fetch/guarded-get.ts';
import { LIMITS } from '#base/limits.ts';
import type { ExtraRoots } from '#jwks/extra-roots.ts';

export interface FetchDocumentDeps {
  readonly rules: DialRules;
  readonly roots: ExtraRoots;
  /** Addresses of a name; the system's when left out. */
  readonly lookup?: Lookup;
}

/**
 * Fetches a small document from where users say it is, over redirects; each step is guarded alike.
 * `sizeMax`: bytes; those of a set of keys when left out.
 * @throws BulwarkError NET_FETCH_FAILED, NET_ADDRESS_REFUSED, JWKS_FETCH_FAILED, in words for the
 * operator
 */
export async function fetchDocument(
  url: string,
  options: { readonly timeoutMs: number; readonly sizeMax?: number },
  { rules, roots, lookup }: FetchDocumentDeps,
): Promise<string> {
  const signal = AbortSignal.timeout(options.timeoutMs);
  const common = { rules, lookup, signal, sizeMax: options.sizeMax ?? LIMITS.jwksBytesMax };
  let at = parseUrl(url);
  for (let step = 0; step <= LIMITS.jwksRedirectsMax; step += 1) {
    const own = at.protocol === 'https:' ? await roots.for(hostOf(at)) : undefined;
    const answer = await guardedGet({ ...common, url: at, roots: own });
    if (answer.kind === 'document') return answer.text;
    const next = parseUrl(answer.location, at);
    if (at.protocol === 'https:' && next.protocol !== 'https:')
      throw fetchFailed(at, 'it redirects from https to http');
    at = next;
  }
  throw fetchFailed(parseUrl(url), `it redirects more than ${LIMITS.jwksRedirectsMax} times`);
}

function parseUrl(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new BulwarkError('JWKS_FETCH_FAILED', 'the address is no URL of http or https');
  }
  return url;
}
