import fc from 'fast-check';
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { ApiObject } from '#api/object.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';
import type { AuthzRequest } from '#policy/authz/request.ts';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import { authorizationOf } from './authorization-policy.ts';
import { policies, request, WORDS } from './authz-arbitrary.ts';
import { enlarged } from './large-policies.ts';
import { ROLES_LABELS, roles } from './roles-arbitrary.ts';

const AUTHORIZATIONS = Number(process.env.BULWARK_TEST_AUTHORIZATIONS ?? 40);
const REQUESTS_EACH = 54;
const CONNECTIONS_AT_ONCE = 8;

/** The sort in which principals are end users (`principalBinding: USE_ORIGIN`). */
const OF_END_USERS = 'AuthorizationPolicy about end users';

const SORTS: Readonly<Record<string, fc.Arbitrary<readonly ApiObject[]>>> = {
  AuthorizationPolicy: policies,
  'roles and bindings': roles,
  'large AuthorizationPolicy': policies.map(enlarged),
  both: fc.tuple(policies, roles).map((lists) => lists.flat()),
  [OF_END_USERS]: policies.map((objects) => objects.map(ofEndUsers)),
};

/** The same policy, with rules about end users: one of them, or all but one. */
function ofEndUsers(policy: ApiObject): ApiObject {
  const users = WORDS.requestPrincipals;
  const { spec } = policy as AuthorizationPolicy;
  const rules = (spec?.rules ?? []).map((rule, index) => {
    const user = users[(index + JSON.stringify(rule).length) % users.length] ?? '*';
    const source = index % 2 === 0 ? { principals: [user] } : { notPrincipals: [user] };
    return { ...rule, from: [{ source }] };
  });
  return { ...policy, spec: { ...spec, rules } } as ApiObject;
}

/** Random authorizations of one sort, and requests for them in turn. */
export interface AuthzFuzz {
  readonly sort: string;
  readonly profile: HardeningProfile;
  readonly principals: PrincipalBinding;
  /** Rules from which on Envoy looks the caller up. */
  readonly largeFrom: number;
  /** The objects of each authorization. */
  readonly objects: readonly (readonly ApiObject[])[];
  readonly authorizations: readonly WorkloadAuthorization[];
  readonly requests: readonly AuthzRequest[];
}

/** One request of a fuzz, and which authorization it is for. */
export interface FuzzCase {
  readonly index: number;
  readonly authorization: WorkloadAuthorization;
  readonly request: AuthzRequest;
}

/**
 * All that one run compares: policies of the new API, the same with long lists or about end users,
 * of the old one, and both for one workload, in both profiles; at least 20,000 decisions.
 */
export function authzFuzzes(seed: number): readonly AuthzFuzz[] {
  return (['istio', 'strict'] as const).flatMap((profile) =>
    Object.entries(SORTS).map(([sort, lists]) => {
      const objects = fc.sample(lists, { numRuns: AUTHORIZATIONS, seed });
      const requests = fc.sample(request, { numRuns: AUTHORIZATIONS * REQUESTS_EACH, seed });
      const principals = sort === OF_END_USERS ? 'origin' : 'peer';
      return {
        sort,
        profile,
        principals,
        largeFrom: sort === 'AuthorizationPolicy' ? 1 : Number.POSITIVE_INFINITY,
        objects,
        authorizations: objects.map((one) => authorizationOf(one, profile, ROLES_LABELS)),
        requests: requests.map((one) => ({ ...one, principals })),
      };
    }),
  );
}

/** The requests with the authorization that each is for. */
export function casesOf({ authorizations, requests }: AuthzFuzz): readonly FuzzCase[] {
  return requests.flatMap((one, at) => {
    const index = at % authorizations.length;
    const authorization = authorizations[index];
    return authorization ? [{ index, authorization, request: one }] : [];
  });
}

/** Does `work` for every item, several at a time. */
export async function forEachAtOnce<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  const worker = async (): Promise<void> => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: CONNECTIONS_AT_ONCE }, worker));
}
