import { continueToken, objectsAfter, parseContinueToken } from '#apiserver/continue-token.ts';
import type { Answer } from '#apiserver/present.ts';
import { type ListOptions, listOptions } from '#apiserver/query.ts';
import { keyOf, presenterFor, type ResourceContext } from '#apiserver/resource-context.ts';
import { type ObjectFilter, parseFieldSelector, parseLabelSelector } from '#apiserver/selectors.ts';
import { badRequest, futureVersion, notFound } from '#apiserver/status.ts';
import type { StoreList } from '#store/store.ts';

/** GET of one object. @throws ApiError */
export async function getObject(context: ResourceContext): Promise<Answer> {
  const presenter = presenterFor(context);
  const key = keyOf(context);
  const object = await context.deps.store.get(key);
  if (!object) throw notFound({ group: context.kind.group, name: context.kind.plural }, key.name);
  return presenter.answer(object);
}

/** The objects that selectors mean; undefined = all. */
export function filterOf(
  { kind }: ResourceContext,
  options: Pick<ListOptions, 'labelSelector' | 'fieldSelector'>,
): ObjectFilter | undefined {
  const labels = parseLabelSelector(options.labelSelector);
  const fields = parseFieldSelector(kind.id, options.fieldSelector);
  if (!labels) return fields?.matches;
  if (!fields) return labels;
  return (object) => labels(object) && fields.matches(object);
}

/** GET of a collection, whole or in pages of one moment. @throws ApiError */
export async function listObjects(context: ResourceContext): Promise<Answer> {
  const presenter = presenterFor(context, { list: true });
  const options = listOptions(context.request.query, false);
  const filter = filterOf(context, options);
  const from = options.continue === '' ? undefined : parseContinueToken(options.continue);
  if (from && options.resourceVersion !== '' && options.resourceVersion !== '0') {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  const { items, resourceVersion } = await storedList(context, options, from?.resourceVersion);
  const following = from ? objectsAfter(items, from) : items;
  const matching = filter ? following.filter(filter) : following;
  const page = options.limit > 0 ? matching.slice(0, options.limit) : matching;
  const last = page.at(-1)?.metadata;
  const left = matching.length - page.length;
  if (left === 0 || !last) return presenter.listAnswer(page, { resourceVersion });
  const { namespace = '', name } = last;
  return presenter.listAnswer(page, {
    resourceVersion,
    continue: continueToken({ resourceVersion, namespace, name }),
    // With a selector Kubernetes does not count what is left, and clients know that.
    ...(filter ? {} : { remainingItemCount: left }),
  });
}

/**
 * The list at the moment that the options ask for: an exact version for further pages, for a first
 * page of a named version, and when it is asked for; else now.
 */
async function storedList(
  { kind, info, deps }: ResourceContext,
  { resourceVersion, resourceVersionMatch, limit }: ListOptions,
  continued: string | undefined,
): Promise<StoreList> {
  const namespace = info.namespace === '' ? {} : { namespace: info.namespace };
  if (continued !== undefined) return deps.store.list(kind.id, { ...namespace, at: continued });
  await checkReached(deps.store, resourceVersion);
  const paged = limit > 0 && resourceVersionMatch !== 'NotOlderThan';
  const exact = resourceVersionMatch === 'Exact' || (paged && Number(resourceVersion) > 0);
  return deps.store.list(kind.id, exact ? { ...namespace, at: resourceVersion } : namespace);
}

/**
 * Refuses versions that are not numbers, or that the store has not reached.
 * @throws ApiError 400 or 504
 */
export async function checkReached(
  store: ResourceContext['deps']['store'],
  resourceVersion: string,
): Promise<void> {
  if (resourceVersion === '') return;
  if (!/^\d{1,15}$/.test(resourceVersion)) {
    const shown = JSON.stringify(resourceVersion.slice(0, 40));
    throw badRequest(`resourceVersion: Invalid value: ${shown}: must be a number`);
  }
  const current = await store.currentVersion();
  if (Number(resourceVersion) > Number(current)) throw futureVersion(resourceVersion, current);
}
