import { readFileSync } from 'node:fs';
import type { ApiObject } from '#api/object.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import type { PrincipalBinding } from '#policy/authn/jwt.ts';
import type { AuthzRequest } from '#policy/authz/request.ts';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import { authorizationOf } from './authorization-policy.ts';
import { ROLES_LABELS } from './roles-arbitrary.ts';

/** Policies and one request, as small as they show what they show. */
export interface AuthzCase {
  /** What an evaluator gets wrong that fails it. */
  readonly what: string;
  readonly profile: HardeningProfile;
  readonly principals: PrincipalBinding;
  /** From so many rules on Envoy looks the caller up; left out where it does not. */
  readonly largeFrom?: number;
  readonly objects: readonly ApiObject[];
  readonly request: AuthzRequest;
}

/** Where the kept cases are: JSON. */
const AUTHZ_CASES = new URL('authz-cases.json', import.meta.url);

/** Cases that were found once and are tried in each run. */
export function keptCases(): readonly AuthzCase[] {
  return JSON.parse(readFileSync(AUTHZ_CASES, 'utf8')) as readonly AuthzCase[];
}

/** What the objects of a case come to. */
export function authorizationOfCase({ objects, profile }: AuthzCase): WorkloadAuthorization {
  return authorizationOf(objects, profile, ROLES_LABELS);
}

/**
 * The smallest case that still shows it: elements and fields go one by one for as long as it does.
 * @param shows whether a case shows it; one that it throws for does not
 * @param triesMax how often `shows` is asked at the most
 */
export async function shrunk(
  found: AuthzCase,
  shows: (smaller: AuthzCase) => boolean | Promise<boolean>,
  triesMax: number,
): Promise<AuthzCase> {
  let best = found;
  let tries = 0;
  const holds = async (candidate: AuthzCase): Promise<boolean> => {
    tries += 1;
    try {
      return await shows(candidate);
    } catch {
      return false;
    }
  };
  for (let at = 0; tries < triesMax; ) {
    const candidate = [...smallerOnes(best)][at];
    if (candidate === undefined) break;
    if (await holds(candidate)) {
      best = candidate;
      at = 0;
    } else at += 1;
  }
  return best;
}

/** The case without one of its parts, the largest parts first. */
function* smallerOnes(one: AuthzCase): Generator<AuthzCase> {
  for (const objects of without(one.objects)) yield { ...one, objects: objects as ApiObject[] };
  for (const request of without(one.request))
    if (isWhole(request as AuthzRequest)) yield { ...one, request: request as AuthzRequest };
}

/** Whether a request can be sent. */
function isWhole({ source, destination, http }: AuthzRequest): boolean {
  const texts = [source?.address, destination?.address];
  if (http) texts.push(http.method, http.target, http.host);
  return typeof destination?.port === 'number' && texts.every((text) => typeof text === 'string');
}

function* without(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    for (const index of value.keys()) yield value.toSpliced(index, 1);
    for (const [index, element] of value.entries())
      for (const smaller of without(element)) yield value.with(index, smaller);
  } else if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    for (const [name] of fields)
      yield Object.fromEntries(fields.filter(([other]) => other !== name));
    for (const [name, field] of fields)
      for (const smaller of without(field)) yield { ...value, [name]: smaller };
  }
}
