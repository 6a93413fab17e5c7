import { ADMIN_PATHS, type ListsView } from '#admin/contract.ts';
import type { CliContext } from '#cli/context.ts';
import { type KubeClient, refusal } from '#kubeclient/kube-client.ts';
import { FetchedLists, listKey } from '#model/fetched-lists.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { listHandlersOf } from '#policy/authz/mixer/mixer-objects.ts';

/** The lists that a server has for its listcheckers; none of one that does not tell. */
export async function fetchedLists(client: KubeClient): Promise<FetchedLists> {
  const answer = await client.send({ method: 'GET', path: ADMIN_PATHS.lists });
  if (answer.status === 404) return FetchedLists.none;
  if (answer.status >= 400) throw refusal(answer);
  const { lists } = answer.body as ListsView;
  return new FetchedLists(
    new Map(lists.map(({ source, entries, error }) => [listKey(source), { entries, error }])),
  );
}

/** Says of which lists nothing is known: a command that reads objects fetches none. */
export function noteUnknownLists(mesh: MeshSnapshot, { stderr }: Pick<CliContext, 'stderr'>): void {
  const unknown = listHandlersOf(mesh).filter(
    ([, source]) => mesh.fetchedLists.get(source)?.entries === undefined,
  );
  for (const [{ kind, metadata }] of unknown) {
    const name = `${kind} ${metadata.namespace}/${metadata.name}`;
    stderr.write(`note: the list of ${name} is not known: rules that ask it deny all they cover\n`);
  }
}
