import { isDeepStrictEqual } from 'node:util';
import type { KindDefinition } from '#api/kind.ts';
import type { AccessBinding, RoleRef } from '#api/kinds/access-binding.ts';
import { type AccessRule, RBAC_GROUP } from '#api/kinds/access-rules.ts';
import type { ClusterRole } from '#api/kinds/cluster-role.ts';
import type { ApiObject } from '#api/object.ts';
import { type Caller, MASTERS } from '#apiserver/authorize.ts';
import type { AccessIndex } from '#apiserver/rbac/access-index.ts';
import type { RbacAuthorizer } from '#apiserver/rbac/rbac-authorizer.ts';
import {
  countRights,
  type ReadyRule,
  rightsOf,
  ruleCovers,
  type SingleRight,
} from '#apiserver/rbac/rule.ts';
import { forbidden, notFound } from '#apiserver/status.ts';
import { LIMITS } from '#base/limits.ts';

/** A write of an object, before it is done. */
export interface ProposedWrite {
  readonly caller: Caller;
  readonly kind: KindDefinition;
  readonly object: ApiObject;
  /** As it is now; absent when the object is new. */
  readonly current?: ApiObject | undefined;
}

/** All rights there are. */
const EVERYTHING: readonly AccessRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];
/** Rights that a refusal names. */
const SHOWN_MAX = 20;

/**
 * Nobody gives rights that he does not have himself: neither by writing a role, nor by binding one,
 * unless he has the verb `escalate` or `bind` for it (kubernetes.io, "Privilege escalation
 * prevention and bootstrapping").
 */
export class EscalationGuard {
  readonly #index: AccessIndex;
  readonly #authorizer: RbacAuthorizer;

  constructor(index: AccessIndex, authorizer: RbacAuthorizer) {
    this.#index = index;
    this.#authorizer = authorizer;
  }

  /** @throws ApiError 403, or 404 when the role to bind is not there */
  check(write: ProposedWrite): void {
    const { caller, kind, object, current } = write;
    if (kind.group !== RBAC_GROUP || caller.groups.includes(MASTERS)) return;
    if (current && isSameBesidesOwners(object, current)) return;
    if (kind.plural.endsWith('bindings')) this.#checkBinding(write, object as AccessBinding);
    else this.#checkRole(write, object as ClusterRole);
  }

  #checkRole(write: ProposedWrite, role: ClusterRole): void {
    const { caller, kind, current } = write;
    const { name, namespace = '' } = role.metadata;
    if (this.#may(caller, 'escalate', { resource: kind.plural, namespace, name })) return;
    this.#confirm(write, role.rules ?? []);
    const before = current as ClusterRole | undefined;
    if (!role.aggregationRule && !before?.aggregationRule) return;
    if (this.#lacking(caller, namespace, EVERYTHING).length === 0) return;
    const why = 'must have cluster-admin privileges to use the aggregationRule';
    throw forbidden({ group: kind.group, name: kind.plural }, name, why);
  }

  #checkBinding(write: ProposedWrite, binding: AccessBinding): void {
    const { namespace = '' } = binding.metadata;
    const { name } = binding.roleRef;
    const resource = pluralOf(binding.roleRef);
    if (this.#may(write.caller, 'bind', { resource, namespace, name })) return;
    const rules = this.#index.rulesOf(binding);
    if (!rules) throw notFound({ group: RBAC_GROUP, name: resource }, name);
    this.#confirm(
      write,
      rules.map(({ rule }) => rule),
    );
  }

  #may(
    caller: Caller,
    verb: string,
    role: { readonly resource: string; readonly namespace: string; readonly name: string },
  ): boolean {
    const access = { type: 'resource', verb, group: RBAC_GROUP, subresource: '', ...role } as const;
    return this.#authorizer.authorize(caller, access).allowed;
  }

  /** @throws ApiError 403 when the caller lacks any of what the rules give */
  #confirm({ caller, kind, object }: ProposedWrite, rules: readonly AccessRule[]): void {
    const { name, namespace = '' } = object.metadata;
    const resource = { group: kind.group, name: kind.plural };
    const rights = rules.reduce((sum, rule) => sum + countRights(rule), 0);
    if (rights > LIMITS.accessRightsMax) {
      throw forbidden(resource, name, `the role gives more than ${LIMITS.accessRightsMax} rights`);
    }
    const { rules: held, missing } = this.#authorizer.rulesFor(caller, namespace);
    // Others wait meanwhile, and whoever administers one namespace can have any number of rules.
    if (rights * held.length > LIMITS.accessComparisonsMax) {
      const much = `${rights} rights cannot be compared with the ${held.length} rules that you have`;
      throw forbidden(resource, name, much);
    }
    const lacking = this.#lacking(caller, namespace, rules);
    if (lacking.length === 0) return;
    const groups = caller.groups.map((group) => JSON.stringify(group)).join(' ');
    const unresolved =
      missing.length === 0 ? '' : `; resolution errors: [${missing.slice(0, 5).join(' ')}]`;
    const why =
      `user ${JSON.stringify(caller.username)} (groups=[${groups}]) is attempting to grant RBAC ` +
      `permissions not currently held:\n${lacking.join('\n')}${unresolved}`;
    throw forbidden(resource, name, why);
  }

  /** What the rules give and the caller does not have, as text; at most so much as is shown. */
  #lacking(caller: Caller, namespace: string, rules: readonly AccessRule[]): readonly string[] {
    const held = this.#authorizer.rulesFor(caller, namespace).rules;
    const verbsOf = new Map<string, string[]>();
    for (const rule of rules) {
      for (const right of rightsOf(rule)) {
        if (isHeld(held, right)) continue;
        const what = describe(right);
        const verbs = verbsOf.get(what) ?? [];
        if (verbs.length === 0 && verbsOf.size === SHOWN_MAX) return shown(verbsOf, '…');
        if (!verbs.includes(right.verb)) verbs.push(right.verb);
        verbsOf.set(what, verbs);
      }
    }
    return shown(verbsOf);
  }
}

function isHeld(held: readonly ReadyRule[], right: SingleRight): boolean {
  return held.some((rule) => ruleCovers(rule, right));
}

function pluralOf({ kind }: RoleRef): string {
  return kind === 'Role' ? 'roles' : 'clusterroles';
}

function describe({ group, resource, name, path }: SingleRight): string {
  if (path !== undefined) return `NonResourceURLs:${listed([path])}`;
  const names = name === undefined ? '' : `, ResourceNames:${listed([name])}`;
  return `APIGroups:${listed([group])}, Resources:${listed([resource])}${names}`;
}

/** As Kubernetes writes them: sorted, and for paths each verb apart. */
function shown(verbsOf: ReadonlyMap<string, readonly string[]>, ...more: string[]): string[] {
  const rights = [...verbsOf].flatMap(([what, verbs]) => {
    const sets = what.startsWith('NonResourceURLs') ? verbs.map((verb) => [verb]) : [verbs];
    return sets.map((some) => `{${what}, Verbs:${listed(some)}}`);
  });
  return [...rights.sort(), ...more];
}

function listed(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(' ')}]`;
}

/** Whether only finalizers and owners differ: what the end of an object takes gives no rights. */
function isSameBesidesOwners(object: ApiObject, current: ApiObject): boolean {
  return isDeepStrictEqual(withoutOwners(object), withoutOwners(current));
}

function withoutOwners({ metadata, ...rest }: ApiObject): object {
  const { finalizers: _f, ownerReferences: _o, resourceVersion: _v, ...meta } = metadata;
  const { managedFields: _m, ...named } = meta;
  return { ...rest, metadata: named };
}
