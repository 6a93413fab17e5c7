import { readKeySet } from '#api/key-set.ts';
import { BulwarkError } from '#base/errors.ts';
import { type FetchDocumentDeps, fetchDocument } from '#jwks/fetch-document.ts';
import type { KeySource } from '#model/key-sets.ts';

/** Keys of an issuer that were fetched and can be used. */
export interface FetchedKeys {
  /** The key set as proxies get it. */
  readonly text: string;
  readonly count: number;
  /** What was left out of it. */
  readonly warnings: readonly string[];
}

const DISCOVERY = '/.well-known/openid-configuration';

/**
 * Fetches the keys of a source, by discovery where only the issuer is known.
 * @throws BulwarkError JWKS_FETCH_FAILED, NET_FETCH_FAILED, NET_ADDRESS_REFUSED
 */
export async function fetchKeys(
  source: KeySource,
  options: { readonly timeoutMs: number },
  deps: FetchDocumentDeps,
): Promise<FetchedKeys> {
  const url = source.startsWith('keys ')
    ? source.slice('keys '.length)
    : await discover(source.slice('issuer '.length), options, deps);
  const read = readKeySet(await fetchDocument(url, options, deps), { sharedSecrets: false });
  if (!read.ok) throw problem(`what is there is no key set: ${read.problem}`);
  return { text: read.text, count: read.count, warnings: read.warnings };
}

/** Where an issuer says that its keys are (OpenID Connect Discovery 1.0, section 4). */
async function discover(
  issuer: string,
  options: { readonly timeoutMs: number },
  deps: FetchDocumentDeps,
): Promise<string> {
  if (!/^https?:\/\//.test(issuer)) {
    throw problem('the issuer is no URL, so nobody can be asked where its keys are');
  }
  const text = await fetchDocument(`${issuer.replace(/\/$/, '')}${DISCOVERY}`, options, deps);
  const document = parsed(text);
  const { issuer: said, jwks_uri: uri } = document;
  if (said !== issuer) {
    const name = typeof said === 'string' ? JSON.stringify(said.slice(0, 200)) : 'nobody';
    throw problem(`what is there speaks for ${name}, not for the issuer`);
  }
  if (typeof uri !== 'string') throw problem('the issuer does not say where its keys are');
  return uri;
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below, for every document that is none.
  }
  throw problem('the issuer answers with something that is no document of discovery');
}

function problem(message: string): BulwarkError {
  return new BulwarkError('JWKS_FETCH_FAILED', message, {
    remedy: 'name the place of the keys with jwksUri, or write them into jwks',
  });
}
