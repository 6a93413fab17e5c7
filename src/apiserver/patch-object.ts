import type { ApiObject } from '#api/object.ts';
import { mediaType, parseJson } from '#apiserver/body.ts';
import { metadataOf } from '#apiserver/create.ts';
import { scanJson } from '#apiserver/json-scan.ts';
import { modifyObject, type Proposal } from '#apiserver/modify.ts';
import { applyJsonPatch } from '#apiserver/patch/json-patch.ts';
import { isObject, type JsonObject } from '#apiserver/patch/json-value.ts';
import { applyMergePatch } from '#apiserver/patch/merge-patch.ts';
import { applyStrategicMergePatch } from '#apiserver/patch/strategic-merge-patch.ts';
import type { Answer } from '#apiserver/present.ts';
import { writeOptions } from '#apiserver/query.ts';
import type { ResourceContext } from '#apiserver/resource-context.ts';
import {
  type ApiError,
  badRequest,
  invalid,
  tooLarge,
  unsupportedMediaType,
} from '#apiserver/status.ts';
import { LIMITS } from '#base/limits.ts';

const JSON_PATCH = 'application/json-patch+json';
const MERGE_PATCH = 'application/merge-patch+json';
const STRATEGIC_MERGE_PATCH = 'application/strategic-merge-patch+json';

/** PATCH of an object, or of its status. @throws ApiError */
export async function patchObject(context: ResourceContext): Promise<Answer> {
  const { request, kind } = context;
  const type = mediaType(request.headers['content-type']);
  const accepted = [JSON_PATCH, MERGE_PATCH, ...(kind.custom ? [] : [STRATEGIC_MERGE_PATCH])];
  if (!accepted.includes(type)) throw unsupportedMediaType(accepted);
  const options = writeOptions(request.query, 'PatchOptions');
  const { value: patch, duplicates, problem } = parseJson(request.body);
  if (problem !== undefined) throw badRequest(`error decoding patch: ${problem}`);
  if (type !== JSON_PATCH && !isObject(patch)) {
    throw badRequest('error decoding patch: the patch is no JSON object');
  }
  return modifyObject(context, options, (current): Proposal => {
    const candidate = patched(context, { type, patch, current });
    const { resourceVersion } = metadataOf(candidate);
    return {
      candidate,
      duplicates,
      strictError: strictPatchError(
        type === STRATEGIC_MERGE_PATCH ? goValue(patch) : JSON.stringify(candidate),
      ),
      versioned: resourceVersion !== current.metadata.resourceVersion || asksForVersion(patch),
    };
  });
}

/** Whether a merge patch names the version that it is for. */
function asksForVersion(patch: unknown): boolean {
  if (!isObject(patch)) return false;
  const { resourceVersion } = metadataOf(patch);
  return typeof resourceVersion === 'string' && resourceVersion !== '';
}

function patched(
  { kind, info }: ResourceContext,
  options: { readonly type: string; readonly patch: unknown; readonly current: ApiObject },
): JsonObject {
  const { type, patch, current } = options;
  const apiVersion = kind.group === '' ? info.version : `${kind.group}/${info.version}`;
  const target = { ...current, apiVersion } as unknown as JsonObject;
  const result =
    type === JSON_PATCH
      ? applyJsonPatch(target, patch)
      : type === MERGE_PATCH
        ? applyMergePatch(target, patch)
        : applyStrategicMergePatch(target, patch as JsonObject, kind.schema);
  return checkSize(result);
}

/** A patch is small and can still make something large or deep. */
function checkSize(result: unknown): JsonObject {
  if (!isObject(result)) throw badRequest('the patch leaves no object');
  let text: string;
  try {
    text = JSON.stringify(result);
  } catch {
    throw badRequest(`the patch nests deeper than ${LIMITS.documentDepthMax} levels`);
  }
  if (text.length > LIMITS.apiBodyBytesMax) throw tooLarge(LIMITS.apiBodyBytesMax);
  if (scanJson(text, LIMITS.documentDepthMax).tooDeep) {
    throw badRequest(`the patch nests deeper than ${LIMITS.documentDepthMax} levels`);
  }
  return result;
}

const SHOWN_LENGTH_MAX = 2000;

/**
 * Unknown fields that a patch brings; for a patch Kubernetes answers Invalid instead of BadRequest.
 */
function strictPatchError(shown: string) {
  return (problems: readonly string[]): ApiError => {
    const value = JSON.stringify(shown.slice(0, SHOWN_LENGTH_MAX));
    const message = `Invalid value: ${value}: strict decoding error: ${problems.join(', ')}`;
    return invalid({ group: '', name: '' }, '', [
      { field: 'patch', message, reason: 'FieldValueInvalid' },
    ]);
  };
}

/**
 * A value as Go prints it, `map[spec:map[ports:[80]]]`: so Kubernetes shows a strategic merge
 * patch.
 */
function goValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goValue).join(' ')}]`;
  if (!isObject(value)) return String(value);
  const members = Object.entries(value).map(([key, member]) => `${key}:${goValue(member)}`);
  return `map[${members.sort().join(' ')}]`;
}
