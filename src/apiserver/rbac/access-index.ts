import type { AccessBinding, Subject } from '#api/kinds/access-binding.ts';
import type { ClusterRole } from '#api/kinds/cluster-role.ts';
import type { ApiObject, KindId } from '#api/object.ts';
import type { Caller } from '#apiserver/authorize.ts';
import { type ReadyRule, readyRules } from '#apiserver/rbac/rule.ts';

/** A binding that counts for a caller. */
export interface Grant {
  readonly binding: AccessBinding;
  /** The first of its subjects that means the caller. */
  readonly subject: Subject;
  /** Undefined = there is no such role. */
  readonly rules: readonly ReadyRule[] | undefined;
}

/** Bindings of one scope by subject, then by name. */
type Bindings = Map<string, Map<string, AccessBinding>>;

/** The scope of ClusterRoleBindings. */
const EVERYWHERE = '';

/**
 * Roles and bindings by whom they are for, so that a decision costs what the bindings of the caller
 * cost, however many others there are.
 */
export class AccessIndex {
  /** Roles by `namespace/name`; ClusterRoles by `/name`. */
  readonly #roles = new Map<string, readonly ReadyRule[]>();
  readonly #clusterRoles = new Map<string, ClusterRole>();
  readonly #bindings = new Map<string, Bindings>();

  /** All ClusterRoles. */
  get clusterRoles(): readonly ClusterRole[] {
    return [...this.#clusterRoles.values()];
  }

  clear(): void {
    this.#roles.clear();
    this.#clusterRoles.clear();
    this.#bindings.clear();
  }

  /** Takes over an object, in the place of what it was before. */
  put(kind: KindId, object: ApiObject, previous?: ApiObject): void {
    if (previous) this.remove(kind, previous);
    const { namespace = EVERYWHERE, name } = object.metadata;
    if (isBinding(kind)) {
      this.#bind(object as AccessBinding, namespace);
      return;
    }
    const role = object as ClusterRole;
    this.#roles.set(`${namespace}/${name}`, readyRules(role.rules));
    if (namespace === EVERYWHERE) this.#clusterRoles.set(name, role);
  }

  /** Forgets an object. */
  remove(kind: KindId, object: ApiObject): void {
    const { namespace = EVERYWHERE, name } = object.metadata;
    if (isBinding(kind)) {
      this.#unbind(object as AccessBinding, namespace);
      return;
    }
    this.#roles.delete(`${namespace}/${name}`);
    if (namespace === EVERYWHERE) this.#clusterRoles.delete(name);
  }

  /** What counts for a caller: everywhere, then in the namespace ('' = outside of namespaces). */
  *grants(caller: Caller, namespace: string): Generator<Grant> {
    const keys = new Set([userKey(caller.username), ...caller.groups.map(groupKey)]);
    const scopes = namespace === EVERYWHERE ? [EVERYWHERE] : [EVERYWHERE, namespace];
    for (const scope of scopes) {
      const bindings = this.#bindings.get(scope);
      if (!bindings) continue;
      for (const key of keys) {
        for (const binding of bindings.get(key)?.values() ?? []) {
          const subject = binding.subjects?.find((one) => keyOf(one, scope) === key);
          if (subject) yield { binding, subject, rules: this.rulesOf(binding) };
        }
      }
    }
  }

  /** The rules of the role that a binding gives; undefined = there is no such role. */
  rulesOf({ metadata, roleRef }: AccessBinding): readonly ReadyRule[] | undefined {
    const namespace = roleRef.kind === 'Role' ? (metadata.namespace ?? EVERYWHERE) : EVERYWHERE;
    return this.#roles.get(`${namespace}/${roleRef.name}`);
  }

  #bind(binding: AccessBinding, scope: string): void {
    const bindings: Bindings = this.#bindings.get(scope) ?? new Map();
    this.#bindings.set(scope, bindings);
    for (const subject of binding.subjects ?? []) {
      const key = keyOf(subject, scope);
      const named = bindings.get(key) ?? new Map<string, AccessBinding>();
      bindings.set(key, named.set(binding.metadata.name, binding));
    }
  }

  #unbind(binding: AccessBinding, scope: string): void {
    const bindings = this.#bindings.get(scope);
    if (!bindings) return;
    for (const subject of binding.subjects ?? []) {
      const key = keyOf(subject, scope);
      const named = bindings.get(key);
      named?.delete(binding.metadata.name);
      if (named?.size === 0) bindings.delete(key);
    }
    if (bindings.size === 0) this.#bindings.delete(scope);
  }
}

function isBinding(kind: KindId): boolean {
  return kind.includes('bindings');
}

function userKey(name: string): string {
  return `User ${name}`;
}

function groupKey(name: string): string {
  return `Group ${name}`;
}

/** A service account without a namespace is one of the namespace of the binding. */
function keyOf({ kind, name, namespace = '' }: Subject, scope: string): string {
  if (kind === 'Group') return groupKey(name);
  if (kind === 'User') return userKey(name);
  return userKey(`system:serviceaccount:${namespace || scope}:${name}`);
}
