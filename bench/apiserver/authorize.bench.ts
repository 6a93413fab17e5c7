// What a decision about a request to the API server costs with ten thousand role bindings, against
// ten: half of the requests are allowed, each by the binding of another user.
import type { AccessBinding } from '#api/kinds/access-binding.ts';
import type { Caller, ResourceAccess } from '#apiserver/authorize.ts';
import { AccessIndex } from '#apiserver/rbac/access-index.ts';
import { DEFAULT_BINDINGS, DEFAULT_ROLES } from '#apiserver/rbac/default-roles.ts';
import { RbacAuthorizer } from '#apiserver/rbac/rbac-authorizer.ts';
import type { BenchResult } from '../bench-result.ts';
import { manyAgainstFew } from '../many-few.ts';

const MANY = 10_000;
const FEW = 10;
const NAMESPACES = 100;
const REQUESTS = 200;
const GOAL = 2;
const GROUP = 'rbac.authorization.k8s.io';

function bindingOf(index: number): AccessBinding {
  return {
    apiVersion: `${GROUP}/v1`,
    kind: 'RoleBinding',
    metadata: { name: `binding-${index}`, namespace: `ns-${index % NAMESPACES}` },
    subjects: [{ kind: 'User', apiGroup: GROUP, name: `user-${index}` }],
    roleRef: { apiGroup: GROUP, kind: 'ClusterRole', name: 'system:aggregate-to-edit' },
  };
}

/** Asks about the same requests once; gives nanoseconds for one decision. */
function measured(bindings: number): () => number {
  const index = new AccessIndex();
  for (const role of DEFAULT_ROLES) index.put(`clusterroles.${GROUP}`, role);
  for (const binding of DEFAULT_BINDINGS) index.put(`clusterrolebindings.${GROUP}`, binding);
  for (let count = 0; count < bindings; count += 1) {
    index.put(`rolebindings.${GROUP}`, bindingOf(count));
  }
  const authorizer = new RbacAuthorizer(index, () => true);
  const asked = Array.from({ length: REQUESTS }, (_, count) => {
    const user = (count * 7) % bindings;
    const isAllowed = count % 2 === 0;
    const namespace = `ns-${(user + (isAllowed ? 0 : 1)) % NAMESPACES}`;
    const caller: Caller = { username: `user-${user}`, groups: ['a', 'b', 'system:authenticated'] };
    const place = { group: '', subresource: '', namespace, name: 'x' };
    const access: ResourceAccess = {
      type: 'resource',
      verb: 'update',
      resource: 'secrets',
      ...place,
    };
    return { caller, access, isAllowed };
  });
  return () => {
    const startMs = performance.now();
    for (const { caller, access, isAllowed } of asked) {
      const { allowed } = authorizer.authorize(caller, access);
      if (allowed !== isAllowed) throw new Error(`${caller.username}: ${allowed} is wrong`);
    }
    return ((performance.now() - startMs) / REQUESTS) * 1e6;
  };
}

/** A decision with many bindings, against one with few. */
export async function bench(): Promise<BenchResult> {
  return manyAgainstFew({
    name: 'authorize',
    many: { count: MANY, measure: measured(MANY) },
    few: { count: FEW, measure: measured(FEW) },
    label: (count) => `a decision with ${count} bindings`,
    goal: GOAL,
  });
}
