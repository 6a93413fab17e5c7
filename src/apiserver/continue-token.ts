import type { ApiObject } from '#api/object.ts';
import { badRequest } from '#apiserver/status.ts';
import { sortKey } from '#store/sorted-objects.ts';

/** Where a page of a list ended: the next one is of the same moment. Opaque to clients. */
export interface PagePosition {
  /** The version of the whole list. */
  readonly resourceVersion: string;
  /** The namespace and name of the last object of the page. */
  readonly namespace: string;
  readonly name: string;
}

/** Kubernetes writes this into its tokens, so that they can change. */
const FORMAT = 'meta.k8s.io/v1';

/** The token that a client sends to get the next page. */
export function continueToken({ resourceVersion, namespace, name }: PagePosition): string {
  const token = { v: FORMAT, rv: Number(resourceVersion), start: `${namespace}/${name}` };
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

/** @throws ApiError 400 */
export function parseContinueToken(token: string): PagePosition {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    const [namespace, name, ...rest] = String(start).split('/');
    if (v === FORMAT && Number.isSafeInteger(rv) && rv > 0 && name && rest.length === 0) {
      return { resourceVersion: String(rv), namespace: namespace ?? '', name };
    }
  } catch {
    // Said below: whatever is wrong with it, the client did not get it from here.
  }
  throw badRequest('invalid continue token: continue key is not valid');
}

/** The objects of a sorted list that come after the position. */
export function objectsAfter(
  objects: readonly ApiObject[],
  { namespace, name }: PagePosition,
): readonly ApiObject[] {
  const last = sortKey(namespace, name);
  const next = objects.findIndex(
    ({ metadata }) => sortKey(metadata.namespace ?? '', metadata.name) > last,
  );
  return next < 0 ? [] : objects.slice(next);
}
