import { ADMIN_PATHS, type RevocationListsView } from '#admin/contract.ts';
import type { KubeClient } from '#kubeclient/kube-client.ts';

/**
 * What the server says of its revocation lists; undefined from one that is older, and for who may
 * not ask.
 */
export async function revocationLists(
  client: KubeClient,
): Promise<RevocationListsView | undefined> {
  const answer = await client.send({ method: 'GET', path: ADMIN_PATHS.revocationLists });
  return answer.status >= 400 ? undefined : (answer.body as RevocationListsView);
}

/** Says who keeps lists from being given out; '' when nobody does. */
export function heldBackText(lists: RevocationListsView | undefined): string {
  if (!lists || lists.missing.length === 0) return '';
  const names = lists.missing.map((name) => `  ${name}\n`).join('');
  return `No revocation list is given out, filters alone refuse callers; no list came of:\n${names}`;
}
