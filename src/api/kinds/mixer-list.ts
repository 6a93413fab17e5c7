import { isIpBlock } from '#api/address.ts';
import { checkDuration } from '#api/duration.ts';
import { invalid, required, violates } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { patternProblem } from '#api/kinds/mixer-expression.ts';
import { choice, flag, integer, list, object, text, type ValueOf } from '#api/schema.ts';
import { formatDurationMs, parseDurationMs } from '#base/duration.ts';
import { LIMITS } from '#base/limits.ts';

/** The fields of a listchecker. */
export const listParams = object('A handler that looks for a value in a list.', {
  overrides: list('Entries of the list, beside those of `providerUrl`.', text('An entry.')),
  entryType: choice('What the entries are; STRINGS when left out.', [
    'STRINGS',
    'CASE_INSENSITIVE_STRINGS',
    'IP_ADDRESSES',
    'REGEX',
  ]),
  blacklist: flag('True: what is in the list is denied; else what is not in it.'),
  providerUrl: text('Where more entries are: a URL of http or https that the server fetches.'),
  refreshInterval: text('How often they are fetched; 60s when left out.'),
  ttl: text('How long they count without being fetched anew; 300s when left out.'),
  cachingInterval: text('How long an answer may be kept: here each request is decided anew.'),
  cachingUseCount: integer('How often an answer may be used: as above.'),
});

/** What a listchecker says. */
export interface ListParams extends ValueOf<typeof listParams> {}

/** What the entries of a list are. */
export type ListEntryType = NonNullable<ListParams['entryType']>;

/** When lists are fetched and for how long they count, where the handler does not say (Mixer's). */
const DEFAULT_MS = { refresh: 60_000, ttl: 300_000 } as const;
const REFRESH_MS_MIN = 1000;
/** For Envoy such an entry is a regular expression, in which each character may become two. */
const ANY_CASE_LENGTH_MAX = 500;

/** Reports what is wrong with a listchecker. */
export function checkList(params: ListParams, field: string, report: Report): void {
  const { overrides = [], entryType = 'STRINGS', providerUrl = '' } = params;
  for (const name of ['refreshInterval', 'ttl', 'cachingInterval'] as const)
    checkDuration(params[name], `${field}.${name}`, report, { zero: true });
  if (providerUrl !== '') checkProvider(params, field, report);
  else if (overrides.length === 0)
    report(required(`${field}.overrides`, 'at least one entry, or a providerUrl'));
  for (const [index, entry] of overrides.entries()) {
    const problem = entryProblem(entry, entryType);
    if (problem !== undefined) report(invalid(`${field}.overrides[${index}]`, entry, problem));
  }
}

function checkProvider(params: ListParams, field: string, report: Report): void {
  const { providerUrl = '' } = params;
  const url = URL.canParse(providerUrl) ? new URL(providerUrl) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.host === '')
    report(invalid(`${field}.providerUrl`, providerUrl, 'must be a URL of http or https'));
  else if (url.username !== '' || url.password !== '')
    report(violates(`${field}.providerUrl`, 'must not hold a password: objects are no secret'));
  const { refreshMs, ttlMs } = listTimes(params);
  if (refreshMs < REFRESH_MS_MIN)
    report(violates(`${field}.refreshInterval`, 'must be at least 1s'));
  if (ttlMs < refreshMs) {
    const shown = formatDurationMs(refreshMs);
    report(violates(`${field}.ttl`, `must not be below the refreshInterval (${shown})`));
  }
}

/** How often a list is fetched, and how long it counts after it was. */
export function listTimes({ refreshInterval, ttl }: ListParams): {
  readonly refreshMs: number;
  readonly ttlMs: number;
} {
  const given = (text: string | undefined, otherwise: number) =>
    text === undefined ? otherwise : (parseDurationMs(text) ?? otherwise);
  return {
    refreshMs: given(refreshInterval, DEFAULT_MS.refresh),
    ttlMs: given(ttl, DEFAULT_MS.ttl),
  };
}

function entryProblem(entry: string, type: ListEntryType): string | undefined {
  if (type === 'REGEX') return patternProblem(entry);
  const lengthMax =
    type === 'CASE_INSENSITIVE_STRINGS' ? ANY_CASE_LENGTH_MAX : LIMITS.policyValueLengthMax;
  if (entry.length > lengthMax) return `must have at most ${lengthMax} characters`;
  if (type !== 'IP_ADDRESSES' || isIpBlock(entry)) return undefined;
  return 'must be an IP address or a CIDR block';
}

/** The entries of a list that was fetched, or why it cannot be used. */
export type ReadList = { readonly entries: readonly string[] } | { readonly problem: string };

/**
 * Reads a list as Mixer has it: an entry on each line; of addresses also YAML with a list under
 * `whitelist`. One entry that means nothing makes the whole unusable: without it a blacklist would
 * let in what it was to keep out.
 */
export function readList(content: string, type: ListEntryType): ReadList {
  const lines = content.split('\n').map((line) => line.replace(/\r$/, ''));
  const entries = type === 'IP_ADDRESSES' ? lines.flatMap(addressOn) : lines.filter(Boolean);
  const distinct = [...new Set(entries)];
  const max = type === 'REGEX' ? LIMITS.mixerListPatternsMax : LIMITS.mixerListEntriesMax;
  if (distinct.length > max) return { problem: `it has more than ${max} entries` };
  for (const entry of distinct) {
    const problem = entryProblem(entry, type);
    if (problem !== undefined)
      return { problem: `${JSON.stringify(entry.slice(0, SHOWN_MAX))} in it ${problem}` };
  }
  return { entries: distinct };
}

/** Characters of an entry that a message shows. */
const SHOWN_MAX = 100;
/** `- "10.0.0.0/8"  # a comment`, or just the address. */
const ADDRESS = /^\s*(?:-\s+)?(["']?)([^"'#\s]*)\1\s*(?:#.*)?$/;

/** The address on a line; the heading of the list, and comments, are none. */
function addressOn(line: string): readonly string[] {
  if (/^\s*whitelist:\s*(?:#.*)?$/.test(line) || /^---\s*$/.test(line)) return [];
  const [, , address] = ADDRESS.exec(line) ?? [];
  return address === '' ? [] : [address ?? line];
}
