import type { Diagnostic } from '#api/diagnostic.ts';
import type { ApiObject } from '#api/object.ts';
import { FetchedLists } from '#model/fetched-lists.ts';
import { listHandlersOf, type MixerObjects } from '#policy/authz/mixer/mixer-objects.ts';

/** Tells of each handler with a list from elsewhere whether the list is there. */
export function listFindings(
  objects: Pick<MixerObjects, 'mixerHandlers' | 'listCheckers' | 'fetchedLists'>,
  report: (object: ApiObject, diagnostic: Diagnostic) => void,
): void {
  const { fetchedLists } = objects;
  // Who only reads objects fetches nothing, and knows nothing of lists.
  if (fetchedLists === FetchedLists.none) return;
  for (const [object, source] of listHandlersOf(objects)) {
    const field = object.kind === 'handler' ? 'spec.params.providerUrl' : 'spec.providerUrl';
    const { entries, error } = fetchedLists.get(source) ?? {};
    const tell = (severity: Diagnostic['severity'], message: string) =>
      report(object, { severity, field, message });
    const why = error === undefined ? '' : `: ${error}`;
    if (entries === undefined)
      tell('error', `the list is not there${why}; rules that ask it deny everything they cover`);
    else if (error === undefined) tell('info', `the list has ${entries.length} entries`);
    else
      tell('warning', `the list cannot be fetched${why}; its ${entries.length} entries count on`);
  }
}
