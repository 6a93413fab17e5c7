import { readList } from '#api/kinds/mixer-list.ts';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { type FetchDocumentDeps, fetchDocument } from '#jwks/fetch-document.ts';
import type { ListSource } from '#model/fetched-lists.ts';

/** How long a provider may take. */
const TIMEOUT_MS = 5000;

/**
 * Fetches a list and reads it.
 * @throws BulwarkError NET_FETCH_FAILED, NET_ADDRESS_REFUSED, LIST_UNUSABLE, in words for operators
 */
export async function fetchList(
  { url, entryType }: ListSource,
  deps: FetchDocumentDeps,
): Promise<readonly string[]> {
  const options = { timeoutMs: TIMEOUT_MS, sizeMax: LIMITS.mixerListBytesMax };
  const read = readList(await fetchDocument(url, options, deps), entryType);
  if ('entries' in read) return read.entries;
  throw new BulwarkError(
    'LIST_UNUSABLE',
    `what is there is no list of ${entryType}: ${read.problem}`,
  );
}
