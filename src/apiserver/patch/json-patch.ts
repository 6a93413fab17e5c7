import { isDeepStrictEqual } from 'node:util';
import {
  isObject,
  type JsonObject,
  withMember,
  withoutMember,
} from '#apiserver/patch/json-value.ts';
import { ApiError, badRequest, tooLarge, unprocessable } from '#apiserver/status.ts';
import { LIMITS } from '#base/limits.ts';

interface Operation {
  readonly op: unknown;
  readonly path: readonly string[];
  readonly from: readonly string[] | undefined;
  readonly value: unknown;
}

/** Kubernetes' own bound. */
const OPERATIONS_MAX = 10_000;

/**
 * The target after a JSON patch (RFC 6902).
 * @throws ApiError 400 when it is no patch, 422 when it does not apply, 413 when it grows beyond
 * measure
 */
export function applyJsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) {
    const found = patch === null ? 'null' : typeof patch;
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${found} into Go value of type []handlers.jsonPatchOp`,
    );
  }
  if (patch.length > OPERATIONS_MAX) {
    const message = `The allowed maximum operations in a JSON patch is ${OPERATIONS_MAX}, got ${patch.length}`;
    throw new ApiError(413, 'RequestEntityTooLarge', message);
  }
  let result = target;
  // Copies of copies double with each operation, so what is copied counts against the size of a
  // request.
  let copied = 0;
  const room: Room = { members: LIMITS.patchMembersMax };
  for (const operation of patch.map(parseOperation)) {
    if (operation.op === 'copy') {
      copied += JSON.stringify(valueAt(result, operation.from)).length;
      if (copied > LIMITS.apiBodyBytesMax) throw tooLarge(LIMITS.apiBodyBytesMax);
    }
    result = applyOperation(result, operation, room);
  }
  return result;
}

function parseOperation(entry: unknown): Operation {
  if (!isObject(entry)) throw unprocessable();
  const path = parsePointer(entry.path);
  if (!path) throw unprocessable();
  const from = entry.from === undefined ? undefined : parsePointer(entry.from);
  return { op: entry.op, path, from, value: entry.value };
}

/** The steps of a JSON pointer (RFC 6901). */
function parsePointer(pointer: unknown): readonly string[] | undefined {
  if (pointer === '') return [];
  if (typeof pointer !== 'string' || !pointer.startsWith('/')) return undefined;
  return pointer
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/**
 * Members that may still be copied: whatever holds what changes is copied with each operation, and
 * nobody else is served meanwhile.
 */
interface Room {
  members: number;
}

function applyOperation(
  target: unknown,
  { op, path, from, value }: Operation,
  room: Room,
): unknown {
  switch (op) {
    case 'add':
      if (value === undefined) throw unprocessable();
      return changeAt(target, path, addTo(value), room);
    case 'replace':
      if (value === undefined) throw unprocessable();
      if (path.length === 0) return value;
      return changeAt(changeAt(target, path, removeFrom, room), path, addTo(value), room);
    case 'remove':
      return changeAt(target, path, removeFrom, room);
    case 'copy':
      return changeAt(target, path, addTo(valueAt(target, from)), room);
    case 'move': {
      const moved = valueAt(target, from);
      return changeAt(changeAt(target, from ?? [], removeFrom, room), path, addTo(moved), room);
    }
    case 'test':
      if (isDeepStrictEqual(valueAt(target, path), value)) return target;
      throw unprocessable();
    default:
      throw unprocessable();
  }
}

/** What becomes of the object or list that holds the last step. */
type Change = (holder: JsonObject | readonly unknown[], step: string) => unknown;

/** Makes the change at the end of the path, and new holders along it. */
function changeAt(target: unknown, path: readonly string[], change: Change, room: Room): unknown {
  const [step, ...rest] = path;
  // Without a step the whole document is meant, which is the only member of a document around it.
  if (step === undefined) return (change({ '': target }, '') as JsonObject)[''];
  if (!isObject(target) && !Array.isArray(target)) throw unprocessable();
  room.members -= Array.isArray(target) ? target.length : Object.keys(target).length;
  if (room.members < 0) throw tooLarge(LIMITS.apiBodyBytesMax);
  if (rest.length === 0) return change(target, step);
  const inner = changeAt(valueAt(target, [step]), rest, change, room);
  if (Array.isArray(target)) return target.with(indexIn(target, step), inner);
  return withMember(target as JsonObject, step, inner);
}

function addTo(value: unknown): Change {
  return (holder, step) => {
    if (!Array.isArray(holder)) return withMember(holder as JsonObject, step, value);
    const index = step === '-' ? holder.length : indexOf(step);
    if (index === undefined || index > holder.length) throw unprocessable();
    return holder.toSpliced(index, 0, value);
  };
}

function removeFrom(holder: JsonObject | readonly unknown[], step: string): unknown {
  if (Array.isArray(holder)) return holder.toSpliced(indexIn(holder, step), 1);
  if (!Object.hasOwn(holder, step)) throw unprocessable();
  return withoutMember(holder as JsonObject, step);
}

function valueAt(target: unknown, path: readonly string[] | undefined): unknown {
  if (!path) throw unprocessable();
  let value = target;
  for (const step of path) {
    if (Array.isArray(value)) value = value[indexIn(value, step)];
    else if (isObject(value) && Object.hasOwn(value, step)) value = value[step];
    else throw unprocessable();
  }
  return value;
}

function indexOf(step: string): number | undefined {
  return /^(0|[1-9]\d{0,8})$/.test(step) ? Number(step) : undefined;
}

function indexIn(list: readonly unknown[], step: string): number {
  const index = indexOf(step);
  if (index === undefined || index >= list.length) throw unprocessable();
  return index;
}
