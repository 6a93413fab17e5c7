import type { AccessBinding } from '#api/kinds/access-binding.ts';
import { RBAC_GROUP } from '#api/kinds/access-rules.ts';
import {
  type Access,
  type Authorizer,
  type Caller,
  type Decision,
  MASTERS,
} from '#apiserver/authorize.ts';
import type { AccessIndex, Grant } from '#apiserver/rbac/access-index.ts';
import { type ReadyRule, ruleAllows } from '#apiserver/rbac/rule.ts';

/** Rules that somebody has, and what could not be found out. */
export interface HeldRules {
  readonly rules: readonly ReadyRule[];
  /** Roles that bindings give and that are not there. */
  readonly missing: readonly string[];
}

/** Roles that an answer names: a caller may have very many bindings to roles that are not there. */
const MISSING_SHOWN_MAX = 5;

/**
 * Role-based access control as Kubernetes defines it: what no rule of a bound role allows is
 * refused; the group system:masters may do everything, also when the roles are in disorder.
 */
export class RbacAuthorizer implements Authorizer {
  readonly #index: AccessIndex;
  readonly #isCurrent: () => boolean;

  /** @param isCurrent whether the index has every change; if not, rights may be gone by now */
  constructor(index: AccessIndex, isCurrent: () => boolean) {
    this.#index = index;
    this.#isCurrent = isCurrent;
  }

  authorize(caller: Caller, access: Access): Decision {
    if (caller.groups.includes(MASTERS)) return { allowed: true };
    if (!this.#isCurrent()) return { allowed: false, reason: 'roles are being read again' };
    const missing: string[] = [];
    const namespace = access.type === 'path' ? '' : access.namespace;
    for (const grant of this.#index.grants(caller, namespace)) {
      if (!grant.rules) missing.push(missingRole(grant.binding));
      else if (grant.rules.some((rule) => ruleAllows(rule, access))) {
        return { allowed: true, reason: allowedBy(grant) };
      }
    }
    if (missing.length === 0) return { allowed: false };
    return { allowed: false, reason: `RBAC: ${missingText(missing)}` };
  }

  /** All rules that a caller has in a namespace ('' = outside of namespaces). */
  rulesFor(caller: Caller, namespace: string): HeldRules {
    const rules: ReadyRule[] = [];
    const missing: string[] = [];
    if (!this.#isCurrent()) return { rules, missing: ['roles are being read again'] };
    for (const grant of this.#index.grants(caller, namespace)) {
      if (grant.rules) rules.push(...grant.rules);
      else missing.push(missingRole(grant.binding));
    }
    return { rules, missing };
  }
}

function allowedBy({ binding, subject }: Grant): string {
  const { kind, metadata, roleRef } = binding;
  const { name, namespace } = metadata;
  const place = namespace === undefined ? '' : `/${namespace}`;
  const account = `${subject.name}/${subject.namespace ?? namespace ?? ''}`;
  const who = subject.kind === 'ServiceAccount' ? account : subject.name;
  return (
    `RBAC: allowed by ${kind} "${name}${place}" of ${roleRef.kind} "${roleRef.name}" ` +
    `to ${subject.kind} "${who}"`
  );
}

function missingRole({ roleRef }: AccessBinding): string {
  return `${roleRef.kind.toLowerCase()}.${RBAC_GROUP} "${roleRef.name}" not found`;
}

function missingText(missing: readonly string[]): string {
  const shown = [...new Set(missing)].slice(0, MISSING_SHOWN_MAX);
  return shown.length === 1 ? (shown[0] ?? '') : `[${shown.join(', ')}]`;
}
