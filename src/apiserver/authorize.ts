import type { ResourceRequest } from '#apiserver/request-info.ts';
import { type ApiError, forbidden, forbiddenPath } from '#apiserver/status.ts';

/** Who calls (authentication.k8s.io/v1 UserInfo). */
export interface Caller {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  /** Who it really is, when somebody acts as this one. */
  readonly actor?: string;
}

/**
 * Whether a caller may do it. `reason` says by which rule, or why not, when there is something to
 * say.
 */
export interface Decision {
  readonly allowed: boolean;
  readonly reason?: string;
}

/** Something that may be done with resources; the verb is any word, as roles may name any. */
export type ResourceAccess = Omit<ResourceRequest, 'verb' | 'version' | 'path'> & {
  readonly verb: string | undefined;
};

/** Something that may be done with another path. */
export interface PathAccess {
  readonly type: 'path';
  readonly verb: string;
  readonly path: string;
}

/** What somebody wants to do, as far as it matters for whether he may. */
export type Access = ResourceAccess | PathAccess;

/** Decides who may do what. */
export interface Authorizer {
  authorize(caller: Caller, access: Access): Decision;
}

/** The user of requests without credentials. */
export const ANONYMOUS: Caller = {
  username: 'system:anonymous',
  groups: ['system:unauthenticated'],
};

/** Whoever proved who they are is in this group. */
export const AUTHENTICATED = 'system:authenticated';
/** May do everything (Kubernetes' built-in group). */
export const MASTERS = 'system:masters';

/** The refusal, in Kubernetes' words. */
export function refusal(caller: Caller, access: Access, { reason }: Decision): ApiError {
  const why = reason ? `: ${reason}` : '';
  const user = `User "${caller.username}"`;
  if (access.type === 'path') {
    return forbiddenPath(`${user} cannot ${access.verb} path "${access.path}"${why}`);
  }
  const { group, resource, subresource, namespace, name, verb } = access;
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  return forbidden(
    { group, name: resource },
    name,
    `${user} cannot ${verb ?? 'do this to'} resource "${what}" in API group "${group}" ${where}${why}`,
  );
}
