import { node } from '#api/kinds/node.ts';
import { type Pod, pod } from '#api/kinds/pod.ts';
import { secret } from '#api/kinds/secret.ts';
import type { ApiObject } from '#api/object.ts';
import { isObject, type JsonObject } from '#apiserver/patch/json-value.ts';
import { badRequest, conflict, notFound } from '#apiserver/status.ts';
import type { Store } from '#store/store.ts';

/** An object in the claims of a token. */
export interface ObjectClaim {
  readonly name: string;
  /** Left out for a node that has no object of its own. */
  readonly uid?: string;
}

/** What a token is bound to beside its account (claim `kubernetes.io`). */
export interface BoundClaims {
  readonly pod?: ObjectClaim;
  /** Of that pod; alone, when the token is bound to the node itself. */
  readonly node?: ObjectClaim;
  readonly secret?: ObjectClaim;
}

/** The object that a request wants its token bound to (authentication.k8s.io/v1). */
interface BoundObjectRef {
  readonly kind: string;
  readonly apiVersion: string;
  readonly name: string;
  readonly uid: string;
}

/**
 * Reads `spec.boundObjectRef` of a TokenRequest; undefined when there is none.
 * @throws ApiError 400 when it is no reference
 */
export function readBoundRef(value: unknown): BoundObjectRef | undefined {
  if (value === undefined || value === null) return undefined;
  const text = (field: string): string => {
    const found = isObject(value) ? (value[field] ?? '') : undefined;
    if (typeof found === 'string') return found;
    throw badRequest(`spec.boundObjectRef.${field} must be a text`);
  };
  const [kind, apiVersion, name, uid] = ['kind', 'apiVersion', 'name', 'uid'].map(text);
  if (!kind || !name) throw badRequest('spec.boundObjectRef needs kind and name');
  return { kind, apiVersion: apiVersion || 'v1', name, uid: uid ?? '' };
}

/** A binding that holds: the claims, and the reference as the answer shows it. */
export interface Binding {
  readonly claims: BoundClaims;
  readonly ref: JsonObject;
}

/**
 * Looks up what a token of `account` is to be bound to, as Kubernetes does.
 * @throws ApiError 400 for other kinds, and for a pod of another account; 404 when it is not there;
 *   409 when it is not the one that is meant
 */
export async function boundClaims(
  store: Store,
  { account, ref }: { readonly account: ApiObject; readonly ref: BoundObjectRef },
): Promise<Binding> {
  const { namespace = '', name: accountName } = account.metadata;
  const kind = ref.apiVersion === 'v1' ? BINDABLE.find((one) => one.kind === ref.kind) : undefined;
  if (!kind)
    throw badRequest(`cannot bind token to object of type ${ref.apiVersion}, Kind=${ref.kind}`);
  const key = { kind: kind.id, name: ref.name, namespace: kind.namespaced ? namespace : '' };
  const found = await store.get(key);
  if (!found) throw notFound({ group: '', name: kind.plural }, ref.name);
  const claim = claimOf(found);
  if (ref.uid !== '' && ref.uid !== claim.uid) {
    const why =
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. ` +
      'The object might have been deleted and then recreated';
    throw conflict({ group: '', name: ref.kind }, ref.name, why);
  }
  const { kind: refKind, apiVersion, name, uid } = { ...ref, uid: claim.uid ?? '' };
  const shown = { kind: refKind, apiVersion, name, uid };
  if (kind !== pod) return { claims: { [kind.singular]: claim }, ref: shown };
  const { serviceAccountName = 'default', nodeName } = (found as Pod).spec ?? {};
  if (serviceAccountName !== accountName) {
    throw badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(accountName)} to pod running with ` +
        'different serviceaccount name.',
    );
  }
  if (!nodeName) return { claims: { pod: claim }, ref: shown };
  const machine = await store.get({ kind: node.id, namespace: '', name: nodeName });
  const nodeClaim = machine ? claimOf(machine) : { name: nodeName };
  return { claims: { pod: claim, node: nodeClaim }, ref: shown };
}

const BINDABLE = [pod, node, secret];

function claimOf({ metadata: { name, uid } }: ApiObject): ObjectClaim {
  return uid === undefined ? { name } : { name, uid };
}

/** The claim `kubernetes.io` of a token, read; undefined when it names no service account. */
export function readClaims(value: unknown) {
  if (!isObject(value)) return undefined;
  const { namespace } = value;
  const serviceAccount = readClaim(value.serviceaccount);
  if (typeof namespace !== 'string' || serviceAccount?.uid === undefined) return undefined;
  const { name, uid } = serviceAccount;
  const found = (field: 'pod' | 'node' | 'secret') => {
    const claim = readClaim(value[field]);
    return claim ? { [field]: claim } : {};
  };
  const bound: BoundClaims = { ...found('pod'), ...found('node'), ...found('secret') };
  return { namespace, serviceAccount: { name, uid }, bound };
}

function readClaim(value: unknown): ObjectClaim | undefined {
  if (!isObject(value) || typeof value.name !== 'string') return undefined;
  return typeof value.uid === 'string'
    ? { name: value.name, uid: value.uid }
    : { name: value.name };
}

/** Why what a token is bound to does not hold any more; undefined while it does. */
export async function problemOfBound(
  store: Store,
  namespace: string,
  bound: BoundClaims,
): Promise<string | undefined> {
  for (const kind of [pod, secret, node]) {
    const claim = bound[kind.singular as keyof BoundClaims];
    // The node of a pod may go before the pod does.
    if (!claim || (kind === node && bound.pod)) continue;
    const key = { kind: kind.id, name: claim.name, namespace: kind.namespaced ? namespace : '' };
    const found = await store.get(key);
    if (!found) return `${kind.plural} "${claim.name}" not found`;
    if (found.metadata.uid !== claim.uid) {
      const now = found.metadata.uid ?? '';
      return `${kind.singular} UID (${now}) does not match claim (${claim.uid ?? ''})`;
    }
    if (found.metadata.deletionTimestamp !== undefined)
      return `${kind.plural} "${claim.name}" is being deleted`;
  }
  return undefined;
}
