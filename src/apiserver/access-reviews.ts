import type { Diagnostic } from '#api/diagnostic.ts';
import { invalid as invalidField } from '#api/field-error.ts';
import { cannotBeHandled } from '#apiserver/admit.ts';
import type { Access, Authorizer, Caller } from '#apiserver/authorize.ts';
import { metadataOf } from '#apiserver/create.ts';
import { isObject, type JsonObject } from '#apiserver/patch/json-value.ts';
import { type Answer, jsonAnswer } from '#apiserver/present.ts';
import { writeOptions } from '#apiserver/query.ts';
import type { RbacAuthorizer } from '#apiserver/rbac/rbac-authorizer.ts';
import type { ResourceRequest } from '#apiserver/request-info.ts';
import type { ApiRequest } from '#apiserver/resource-context.ts';
import { decodeReview } from '#apiserver/reviews.ts';
import { AUTHORIZATION_GROUP } from '#apiserver/served-resources.ts';
import { badRequest, invalid } from '#apiserver/status.ts';

const API_VERSION = `${AUTHORIZATION_GROUP}/v1`;
const WORDS_MAX = 1000;

/** What the handlers of access reviews work with. */
export interface AccessReviewDeps {
  readonly authorizer: RbacAuthorizer;
}

/**
 * POST of a SubjectAccessReview, LocalSubjectAccessReview or SelfSubjectAccessReview: whether
 * somebody, or the caller, may do something. `kubectl auth can-i` asks this.
 * @throws ApiError
 */
export function reviewAccess(
  request: ApiRequest,
  { kind, info }: { readonly kind: string; readonly info: ResourceRequest },
  { authorizer }: AccessReviewDeps,
): Answer {
  writeOptions(request.query, 'CreateOptions');
  const { body, spec } = decodeReview(request, { apiVersion: API_VERSION, kind });
  const isSelf = kind === 'SelfSubjectAccessReview';
  const problems = [...accessProblems(spec), ...(isSelf ? [] : subjectProblems(spec, kind))];
  const isLocal = kind === 'LocalSubjectAccessReview';
  if (isLocal) problems.push(...placeProblems(spec, metadataOf(body), info.namespace));
  if (problems.length > 0) throw invalid({ group: AUTHORIZATION_GROUP, name: '' }, '', problems);
  const caller = isSelf ? request.caller : subjectOf(spec, kind);
  const status = decided(authorizer, caller, accessOf(spec, kind));
  const metadata = isLocal ? { namespace: info.namespace } : {};
  const review = { kind, apiVersion: API_VERSION, metadata, spec, status };
  return jsonAnswer(review, { code: 201 });
}

function decided(authorizer: Authorizer, caller: Caller, access: Access): object {
  const { allowed, reason } = authorizer.authorize(caller, access);
  return { allowed, ...(reason ? { reason } : {}) };
}

/**
 * POST of a SelfSubjectRulesReview: everything that the caller may do in a namespace. `kubectl auth
 * can-i --list` asks this.
 * @throws ApiError
 */
export function reviewRules(request: ApiRequest, { authorizer }: AccessReviewDeps): Answer {
  writeOptions(request.query, 'CreateOptions');
  const kind = 'SelfSubjectRulesReview';
  const { spec } = decodeReview(request, { apiVersion: API_VERSION, kind });
  const { namespace } = spec;
  if (typeof namespace !== 'string' || namespace === '') {
    throw badRequest('no namespace on request');
  }
  const { rules, missing } = authorizer.rulesFor(request.caller, namespace);
  const all = rules.map(({ rule }) => rule);
  const status = {
    resourceRules: all.filter(({ nonResourceURLs }) => nonResourceURLs === undefined),
    nonResourceRules: all.filter(({ nonResourceURLs }) => nonResourceURLs !== undefined),
    incomplete: missing.length > 0,
    ...(missing.length > 0 ? { evaluationError: missing.slice(0, 5).join(', ') } : {}),
  };
  const review = { kind, apiVersion: API_VERSION, metadata: {}, spec: {}, status };
  return jsonAnswer(review, { code: 201 });
}

function accessProblems({ resourceAttributes, nonResourceAttributes }: JsonObject): Diagnostic[] {
  if (resourceAttributes && nonResourceAttributes) {
    const { path = '', verb = '' } = isObject(nonResourceAttributes) ? nonResourceAttributes : {};
    const detail = 'cannot be specified in combination with resourceAttributes';
    return [invalidField('spec.nonResourceAttributes', { Path: path, Verb: verb }, detail)];
  }
  if (resourceAttributes || nonResourceAttributes) return [];
  const detail = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
  return [invalidField('spec.resourceAttributes', null, detail)];
}

function subjectProblems(spec: JsonObject, kind: string): Diagnostic[] {
  const { username, groups } = subjectOf(spec, kind);
  if (username !== '' || groups.length > 0) return [];
  return [invalidField('spec.user', '', 'at least one of user or group must be specified')];
}

function placeProblems(
  { resourceAttributes, nonResourceAttributes }: JsonObject,
  metadata: JsonObject,
  place: string,
): Diagnostic[] {
  if (nonResourceAttributes) {
    const detail = 'disallowed on this kind of request';
    return [invalidField('spec.nonResourceAttributes', nonResourceAttributes, detail)];
  }
  const { namespace: asked = '' } = isObject(resourceAttributes) ? resourceAttributes : {};
  const { namespace: named = place } = metadata;
  if (asked === place && named === place) return [];
  const detail = 'must match metadata.namespace';
  return [invalidField('spec.resourceAttributes.namespace', asked, detail)];
}

function subjectOf({ user = '', groups = [] }: JsonObject, kind: string): Caller {
  const isList = Array.isArray(groups) && groups.length <= WORDS_MAX;
  if (typeof user !== 'string' || !isList || !groups.every((one) => typeof one === 'string')) {
    throw unreadable(kind, 'spec.user must be a text, and spec.groups a list of texts');
  }
  return { username: user, groups };
}

function accessOf({ resourceAttributes, nonResourceAttributes }: JsonObject, kind: string): Access {
  const attributes = resourceAttributes ?? nonResourceAttributes;
  const text = (name: string): string => {
    const value = isObject(attributes) ? (attributes[name] ?? '') : undefined;
    if (typeof value === 'string') return value;
    throw unreadable(kind, `${name} of what is asked about must be a text`);
  };
  if (!resourceAttributes) return { type: 'path', verb: text('verb'), path: text('path') };
  const [verb, group, resource] = [text('verb'), text('group'), text('resource')];
  const [subresource, namespace, name] = [text('subresource'), text('namespace'), text('name')];
  return { type: 'resource', verb, group, resource, subresource, namespace, name };
}

function unreadable(kind: string, why: string) {
  return badRequest(`${cannotBeHandled(kind, API_VERSION, kind)}: json: ${why}`);
}
