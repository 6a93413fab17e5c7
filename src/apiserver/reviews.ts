import type { Diagnostic } from '#api/diagnostic.ts';
import { invalid as invalidField } from '#api/field-error.ts';
import { cannotBeHandled, unknownConversion } from '#apiserver/admit.ts';
import { decodeBody } from '#apiserver/body.ts';
import { metadataOf } from '#apiserver/create.ts';
import { isObject, type JsonObject } from '#apiserver/patch/json-value.ts';
import { type Answer, jsonAnswer } from '#apiserver/present.ts';
import { writeOptions } from '#apiserver/query.ts';
import type { ApiRequest, ResourceDeps } from '#apiserver/resource-context.ts';
import { callerOf, type ServiceAccountTokens } from '#apiserver/service-account-tokens.ts';
import { badRequest, invalid, notFound } from '#apiserver/status.ts';
import { boundClaims, readBoundRef } from '#apiserver/token-binding.ts';
import { warningHeaders } from '#apiserver/warnings.ts';
import type { Clock } from '#base/clock.ts';
import { LIMITS } from '#base/limits.ts';
import { secondsTimestamp } from '#store/revise.ts';
import type { Store } from '#store/store.ts';

const API_VERSION = 'authentication.k8s.io/v1';

/** What the handlers of reviews and token requests work with. */
export interface ReviewDeps {
  readonly store: Store;
  readonly tokens: ServiceAccountTokens;
  readonly clock: Clock;
}

/** A body that must be of a kind of review, and its `spec`. @throws ApiError 400 or 415 */
export function decodeReview(
  request: ApiRequest,
  wanted: { readonly apiVersion: string; readonly kind: string },
): { body: JsonObject; spec: JsonObject } {
  const { kind } = wanted;
  const { object } = decodeBody(request.body, request.headers['content-type'], kind);
  const { apiVersion = wanted.apiVersion, kind: name = kind, spec } = object;
  if (name !== kind || apiVersion !== wanted.apiVersion) {
    const [group = ''] = wanted.apiVersion.split('/');
    throw badRequest(
      `${cannotBeHandled(String(name), apiVersion, kind)}: ${unknownConversion(apiVersion, name, { group, kind })}`,
    );
  }
  return { body: object, spec: isObject(spec) ? spec : {} };
}

/** POST of a SelfSubjectReview: who the server takes the caller for. @throws ApiError */
export function reviewSelf(request: ApiRequest, { clock }: ReviewDeps): Answer {
  decodeReview(request, { apiVersion: API_VERSION, kind: 'SelfSubjectReview' });
  const { username, uid, groups, extra } = request.caller;
  const userInfo = { username, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) };
  const metadata = { creationTimestamp: secondsTimestamp(clock.now()) };
  const review = { kind: 'SelfSubjectReview', apiVersion: API_VERSION, metadata };
  return jsonAnswer({ ...review, status: { userInfo } }, { code: 201 });
}

/** POST of a TokenReview: whose token it is, and whether it holds. @throws ApiError */
export async function reviewToken(request: ApiRequest, { tokens }: ReviewDeps): Promise<Answer> {
  const { spec } = decodeReview(request, { apiVersion: API_VERSION, kind: 'TokenReview' });
  const { token } = spec;
  if (typeof token !== 'string' || token === '') {
    throw badRequest('token is required for TokenReview in authentication');
  }
  const audiences = textList(spec.audiences, 'TokenReview');
  const result = await tokens.reviewToken(token, audiences.length > 0 ? audiences : undefined);
  const status = result.authenticated
    ? { authenticated: true, user: callerOf(result), audiences: result.audiences }
    : { user: {}, error: result.error };
  const review = { kind: 'TokenReview', apiVersion: API_VERSION, metadata: {}, spec, status };
  return jsonAnswer(review, { code: 201 });
}

/** POST of a TokenRequest to a service account: a new token of it. @throws ApiError */
export async function requestToken(
  request: ApiRequest,
  account: { readonly namespace: string; readonly name: string },
  { store, tokens, clock, onChange }: ReviewDeps & Pick<ResourceDeps, 'onChange'>,
): Promise<Answer> {
  writeOptions(request.query, 'CreateOptions');
  const { body, spec } = decodeReview(request, { apiVersion: API_VERSION, kind: 'TokenRequest' });
  const { namespace, name } = account;
  const found = await store.get({ kind: 'serviceaccounts', namespace, name });
  if (!found) throw notFound({ group: '', name: 'serviceaccounts' }, name);
  const { seconds, warnings } = lifetimeOf(spec);
  checkNames(body, account);
  const asked = textList(spec.audiences, 'TokenRequest');
  const audiences = asked.length > 0 ? asked : [tokens.issuer];
  const ref = readBoundRef(spec.boundObjectRef);
  const bound = ref ? await boundClaims(store, { account: found, ref }) : undefined;
  const { token, id, expiresAt } = await tokens.issue(found, {
    audiences,
    seconds,
    ...(bound ? { bound: bound.claims } : {}),
  });
  const creationTimestamp = secondsTimestamp(clock.now());
  const made = {
    kind: 'TokenRequest',
    apiVersion: API_VERSION,
    metadata: { name, namespace, uid: found.metadata.uid ?? '', creationTimestamp },
    spec: { audiences, expirationSeconds: seconds, boundObjectRef: bound?.ref ?? null },
  };
  const expirationTimestamp = secondsTimestamp(expiresAt);
  // Which token it was, as the journal of certificates names it; never the token.
  const after = { ...made, token: { id, expirationTimestamp } };
  onChange?.({ caller: request.caller, verb: 'create', after });
  const answer = { ...made, status: { token, expirationTimestamp } };
  return jsonAnswer(answer, { code: 201, headers: warningHeaders(warnings) });
}

/**
 * The lifetime asked for, within the bounds; a longer one than allowed is shortened, and the client
 * told.
 */
function lifetimeOf(spec: JsonObject): {
  readonly seconds: number;
  readonly warnings: readonly string[];
} {
  const field = 'spec.expirationSeconds';
  const asked = spec.expirationSeconds ?? LIMITS.tokenSecondsDefault;
  if (typeof asked !== 'number' || !Number.isSafeInteger(asked)) {
    throw badRequest(
      `${cannotBeHandled('TokenRequest', API_VERSION, 'TokenRequest')}: json: ${field} must be a whole number`,
    );
  }
  if (asked < LIMITS.tokenSecondsMin) {
    const detail = 'may not specify a duration less than 10 minutes';
    throw refused('', [invalidField(field, asked, detail)]);
  }
  if (asked > 2 ** 32) {
    const detail = 'may not specify a duration larger than 2^32 seconds';
    throw refused('', [invalidField(field, asked, detail)]);
  }
  const seconds = Math.min(asked, LIMITS.tokenSecondsMax);
  const shortened = `requested expiration of ${asked} seconds shortened to ${seconds} seconds`;
  return { seconds, warnings: seconds < asked ? [shortened] : [] };
}

function checkNames(
  body: JsonObject,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): void {
  const metadata = metadataOf(body);
  const problems: Diagnostic[] = [];
  if (metadata.name && metadata.name !== name) {
    const detail = 'must match the service account name if specified';
    problems.push(invalidField('metadata.name', metadata.name, detail));
  }
  if (metadata.namespace && metadata.namespace !== namespace) {
    const detail = 'must match the service account namespace if specified';
    problems.push(invalidField('metadata.namespace', metadata.namespace, detail));
  }
  if (problems.length > 0) throw refused(name, problems);
}

function refused(name: string, problems: readonly Diagnostic[]) {
  return invalid({ group: 'authentication.k8s.io', name: 'TokenRequest' }, name, problems);
}

function textList(value: unknown, kind: string): readonly string[] {
  if (value === undefined || value === null) return [];
  const isList = Array.isArray(value) && value.length <= LIMITS.tokenAudiencesMax;
  if (isList && value.every((item) => typeof item === 'string' && item.length <= 1024))
    return value;
  throw badRequest(
    `${cannotBeHandled(kind, API_VERSION, kind)}: spec.audiences must be a list of at most ${LIMITS.tokenAudiencesMax} texts`,
  );
}
