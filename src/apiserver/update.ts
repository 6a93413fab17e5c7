import { asKind, strictDecodingError } from '#apiserver/admit.ts';
import { decodeBody } from '#apiserver/body.ts';
import { inNamespace, metadataOf } from '#apiserver/create.ts';
import { modifyObject } from '#apiserver/modify.ts';
import type { Answer } from '#apiserver/present.ts';
import { writeOptions } from '#apiserver/query.ts';
import type { ResourceContext } from '#apiserver/resource-context.ts';
import { invalid } from '#apiserver/status.ts';

/** PUT of an object, or of its status. @throws ApiError */
export async function updateObject(context: ResourceContext): Promise<Answer> {
  const { request, info, kind } = context;
  const options = writeOptions(request.query, 'UpdateOptions');
  const body = decodeBody(request.body, request.headers['content-type'], kind.kind);
  const candidate = inNamespace(asKind(body.object, kind, info.version), context);
  const { resourceVersion } = metadataOf(candidate);
  const versioned = resourceVersion !== undefined && resourceVersion !== '';
  if (kind.custom && !versioned) {
    const message = 'Invalid value: 0: must be specified for an update';
    throw invalid({ group: kind.group, name: kind.plural }, info.name, [
      { field: 'metadata.resourceVersion', message, reason: 'FieldValueInvalid' },
    ]);
  }
  return modifyObject(context, options, () => ({
    candidate,
    duplicates: body.duplicates,
    strictError: strictDecodingError(kind, info.version),
    versioned,
  }));
}
