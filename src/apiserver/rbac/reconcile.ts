import { isDeepStrictEqual } from 'node:util';
import type { AccessBinding, Subject } from '#api/kinds/access-binding.ts';
import type { AccessRule } from '#api/kinds/access-rules.ts';
import type { ClusterRole } from '#api/kinds/cluster-role.ts';
import type { ApiObject } from '#api/object.ts';
import { AUTOUPDATE } from '#apiserver/rbac/default-roles.ts';
import { readyRules, rightsOf, ruleCovers } from '#apiserver/rbac/rule.ts';
import type { Store } from '#store/store.ts';

const ROLES = 'clusterroles.rbac.authorization.k8s.io';
const BINDINGS = 'clusterrolebindings.rbac.authorization.k8s.io';

/** What every server has from the start. */
export interface AccessDefaults {
  readonly roles: readonly ClusterRole[];
  readonly bindings: readonly AccessBinding[];
}

/**
 * Makes default roles and bindings that are not there, and adds to the others what they lack, as
 * Kubernetes does at every start; nothing is taken away. An object whose annotation autoupdate is
 * `false` is left as it is.
 * @throws BulwarkError what the store throws
 */
export async function reconcileDefaults(
  store: Store,
  { roles, bindings }: AccessDefaults,
): Promise<void> {
  await Promise.all(roles.map((role) => reconcile(store, ROLES, role, completedRole)));
  await Promise.all(
    bindings.map((binding) => reconcile(store, BINDINGS, binding, completedBinding)),
  );
}

async function reconcile<T extends ApiObject>(
  store: Store,
  kind: string,
  wanted: T,
  complete: (present: T, wanted: T) => T | undefined,
): Promise<void> {
  const key = { kind, namespace: '', name: wanted.metadata.name };
  const present = (await store.get(key)) as T | undefined;
  if (!present) {
    await store.create(wanted);
    return;
  }
  if (present.metadata.annotations?.[AUTOUPDATE] === 'false') return;
  const next = complete(present, wanted);
  if (next === undefined) {
    const { uid = '' } = present.metadata;
    await store.delete(key, { uid });
    await store.create(wanted);
  } else if (!isDeepStrictEqual(next, present)) await store.update(next);
}

/** The role with our labels, and with the rules that it lacks. */
function completedRole(present: ClusterRole, wanted: ClusterRole): ClusterRole {
  const labelled = withOurMetadata(present, wanted);
  const rules = [...(present.rules ?? []), ...missingRules(present, wanted)];
  return {
    ...labelled,
    // The rules of an aggregating role come from other roles.
    rules: wanted.aggregationRule ? (present.rules ?? null) : rules,
    ...(wanted.aggregationRule && { aggregationRule: wanted.aggregationRule }),
  };
}

function missingRules(present: ClusterRole, wanted: ClusterRole): readonly AccessRule[] {
  const held = readyRules(present.rules);
  return (wanted.rules ?? []).filter((rule) =>
    [...rightsOf(rule)].some((right) => !held.some((one) => ruleCovers(one, right))),
  );
}

/** The binding with the subjects that it lacks; undefined when it gives another role. */
function completedBinding(
  present: AccessBinding,
  wanted: AccessBinding,
): AccessBinding | undefined {
  if (present.roleRef.name !== wanted.roleRef.name) return undefined;
  const { subjects = [] } = present;
  const isThere = (wantedOne: Subject): boolean =>
    subjects.some(({ kind, name }) => kind === wantedOne.kind && name === wantedOne.name);
  const missing = (wanted.subjects ?? []).filter((one) => !isThere(one));
  return { ...withOurMetadata(present, wanted), subjects: [...subjects, ...missing] };
}

function withOurMetadata<T extends ApiObject>(present: T, { metadata }: T): T {
  const labels = { ...metadata.labels, ...present.metadata.labels };
  const annotations = { ...metadata.annotations, ...present.metadata.annotations };
  return { ...present, metadata: { ...present.metadata, labels, annotations } };
}
