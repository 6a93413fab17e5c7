import type { ExtensionProvider } from '#model/extension-provider.ts';
import { parseTextMatch, type TextMatch, textMatches } from '#policy/authz/text-match.ts';

/** Headers that a provider may set on requests, by what becomes of a caller's own. */
export interface ProvidedHeaders {
  /** The provider does not see them, so a caller has no reason to send them. */
  readonly stripped: readonly TextMatch[];
  /** The provider gets to see them, so they must stay; as the configuration writes them. */
  readonly kept: readonly string[];
}

/** What Envoy always tells a provider, and what a request cannot do without. */
const ALWAYS_TOLD = ['authorization', 'host', 'content-length', 'transfer-encoding'];

/**
 * The headers of its answer that a provider gives to the application, which would take them for the
 * provider's also when a caller made them up.
 */
export function providedHeaders({ check }: ExtensionProvider): ProvidedHeaders {
  if (check.over !== 'http') return { stripped: [], kept: [] };
  const told = [...ALWAYS_TOLD, ...check.asks].map(headerMatch);
  const isTold = (header: string) => told.some((other) => overlap(headerMatch(header), other));
  return {
    stripped: check.toApplication.filter((header) => !isTold(header)).map(headerMatch),
    kept: check.toApplication.filter(isTold),
  };
}

/** Names of headers are compared in lower case, as Envoy has them. */
function headerMatch(pattern: string): TextMatch {
  return parseTextMatch(pattern.toLowerCase());
}

/** Whether there is a name that both match. */
function overlap(a: TextMatch, b: TextMatch): boolean {
  if (a.match === 'present' || b.match === 'present') return true;
  if (a.match === 'exact') return textMatches(b, a.value);
  if (b.match === 'exact') return textMatches(a, b.value);
  if (a.match !== b.match) return true;
  return textMatches(a, b.value) || textMatches(b, a.value);
}
