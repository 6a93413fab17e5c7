import { readDocuments } from '#api/documents.ts';
import { scanJson } from '#apiserver/json-scan.ts';
import { isObject, type JsonObject } from '#apiserver/patch/json-value.ts';
import { decodeProtobufBody } from '#apiserver/protobuf-body.ts';
import { badRequest, unsupportedMediaType } from '#apiserver/status.ts';
import { LIMITS } from '#base/limits.ts';

/** A request body, decoded. */
export interface DecodedBody {
  readonly object: JsonObject;
  /** Paths of fields that the text has twice. */
  readonly duplicates: readonly string[];
}

const JSON_TYPE = 'application/json';
const YAML_TYPE = 'application/yaml';
const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf';

const SHOWN_LENGTH_MAX = 80;

/** `application/json; charset=utf-8` → `application/json`; JSON when there is no header. */
export function mediaType(contentType: string | undefined): string {
  const [type = ''] = (contentType ?? '').split(';');
  return type.trim().toLowerCase() || JSON_TYPE;
}

/**
 * The object in a body.
 * @param kind the kind that the path asks for, for the message
 * @throws ApiError 400 or 415
 */
export function decodeBody(
  body: Buffer,
  contentType: string | undefined,
  kind: string,
): DecodedBody {
  const type = mediaType(contentType);
  const unrecognized = (why: string) =>
    badRequest(
      `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; ${why}`,
    );
  if (type === PROTOBUF_TYPE) {
    const object = decodeProtobufBody(body);
    if (!object) throw unrecognized('the protobuf body is of no kind that is known in this form');
    return { object, duplicates: [] };
  }
  if (type === YAML_TYPE) {
    const { documents, diagnostics } = readDocuments(body.toString('utf8'), { source: 'body' });
    const [first, ...more] = documents;
    const problem =
      diagnostics[0]?.message ?? (more.length > 0 ? 'more than one document' : undefined);
    if (!first || problem) throw unrecognized(`yaml: ${problem ?? 'the document is empty'}`);
    return { object: first.value, duplicates: [] };
  }
  if (type !== JSON_TYPE) {
    throw unsupportedMediaType([JSON_TYPE, YAML_TYPE, PROTOBUF_TYPE]);
  }
  const { value, duplicates, problem } = parseJson(body);
  if (problem !== undefined) throw unrecognized(problem);
  if (!isObject(value)) throw unrecognized(`json: ${typeName(value)} is no object`);
  return { object: value, duplicates };
}

function typeName(value: unknown): string {
  return Array.isArray(value) ? 'a list' : JSON.stringify(value).slice(0, SHOWN_LENGTH_MAX);
}

/** A JSON text, or what is wrong with it. */
export interface ParsedJson {
  readonly value: unknown;
  readonly duplicates: readonly string[];
  readonly problem?: string;
}

/** Parses JSON within the limits on depth; never throws. */
export function parseJson(body: Buffer): ParsedJson {
  const text = body.toString('utf8');
  const failed = (problem: string): ParsedJson => ({ value: undefined, duplicates: [], problem });
  if (text.trim() === '') return failed('json parse error: unexpected end of JSON input (<empty>)');
  const { tooDeep, duplicates } = scanJson(text, LIMITS.documentDepthMax);
  if (tooDeep) return failed(`nested deeper than ${LIMITS.documentDepthMax} levels`);
  try {
    return { value: JSON.parse(text), duplicates };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return failed(`json parse error: ${why}`);
  }
}
