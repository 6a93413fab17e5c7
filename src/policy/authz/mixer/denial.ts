import type { DenierParams } from '#api/kinds/mixer-handler.ts';
import type { ApiObject } from '#api/object.ts';
import type { Denial } from '#policy/authz/compiled-policy.ts';

/** The codes of google.rpc with the status of HTTP that stands for each. */
const CODES: Readonly<Record<number, readonly [string, number]>> = {
  1: ['CANCELLED', 408],
  2: ['UNKNOWN', 500],
  3: ['INVALID_ARGUMENT', 400],
  4: ['DEADLINE_EXCEEDED', 504],
  5: ['NOT_FOUND', 404],
  6: ['ALREADY_EXISTS', 409],
  7: ['PERMISSION_DENIED', 403],
  8: ['RESOURCE_EXHAUSTED', 429],
  9: ['FAILED_PRECONDITION', 412],
  10: ['ABORTED', 409],
  11: ['OUT_OF_RANGE', 400],
  12: ['UNIMPLEMENTED', 501],
  13: ['INTERNAL', 500],
  14: ['UNAVAILABLE', 503],
  15: ['DATA_LOSS', 500],
  16: ['UNAUTHENTICATED', 401],
};
const PERMISSION_DENIED = 7;

/**
 * What a denier tells callers, as Mixer has it: `<code>:<handler>.<namespace>:<message>`. Undefined
 * where it says nothing of its own: then it is a denial like those of other policies.
 */
export function denialOf(handler: ApiObject, { status = {} }: DenierParams): Denial | undefined {
  const { code = PERMISSION_DENIED, message = '' } = status;
  const [word, http] = CODES[code] ?? ['UNKNOWN', 500];
  if (code === PERMISSION_DENIED && message === '') return undefined;
  const { name, namespace = '' } = handler.metadata;
  const kind = handler.kind === 'denier' ? '.denier' : '';
  return { status: http, body: `${word}:${name}${kind}.${namespace}:${message}` };
}
