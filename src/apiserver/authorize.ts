import type { RequestInfo, ResourceRequest } from '#apiserver/request-info.ts';
import { type ApiError, forbidden, forbiddenPath } from '#apiserver/status.ts';

/** Who calls (authentication.k8s.io/v1 UserInfo). */
export interface Caller {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/**
 * Whether a caller may do it. `reason` says by which rule, or why not, when there is something to
 * say.
 */
export interface Decision {
  readonly allowed: boolean;
  readonly reason?: string;
}

/** Decides who may do what. Role-based access control takes the place of the one below. */
export interface Authorizer {
  authorize(caller: Caller, request: RequestInfo): Promise<Decision>;
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

const OPEN_PATHS = ['/healthz', '/livez', '/readyz', '/version'];
const DISCOVERY_PATHS = ['/api', '/apis', '/openapi'];

/** Whether `path` is one of `roots` or below one. */
function isAtOrBelow(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(`${root}/`));
}

/**
 * What Kubernetes grants by itself, and nothing more: all to system:masters, discovery and the
 * question "who am I" to whoever is authenticated, health and version to everybody. So a workload's
 * token opens nothing here.
 */
export class DefaultAuthorizer implements Authorizer {
  async authorize(caller: Caller, request: RequestInfo): Promise<Decision> {
    if (caller.groups.includes(MASTERS)) return { allowed: true };
    const known = caller.groups.includes(AUTHENTICATED);
    if (request.type === 'resource') {
      return { allowed: known && isSelfReview(request) };
    }
    if (request.verb !== 'get') return { allowed: false };
    const paths = known ? [...OPEN_PATHS, ...DISCOVERY_PATHS] : OPEN_PATHS;
    return { allowed: isAtOrBelow(request.path, paths) };
  }
}

function isSelfReview({ verb, group, resource }: ResourceRequest): boolean {
  return (
    verb === 'create' && group === 'authentication.k8s.io' && resource === 'selfsubjectreviews'
  );
}

/** The refusal, in Kubernetes' words. */
export function refusal(caller: Caller, request: RequestInfo, { reason }: Decision): ApiError {
  const why = reason ? `: ${reason}` : '';
  const user = `User "${caller.username}"`;
  if (request.type === 'path') {
    return forbiddenPath(`${user} cannot ${request.verb} path "${request.path}"${why}`);
  }
  const { group, resource, subresource, namespace, name, verb } = request;
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  return forbidden(
    { group, name: resource },
    name,
    `${user} cannot ${verb ?? 'do this to'} resource "${what}" in API group "${group}" ${where}${why}`,
  );
}
