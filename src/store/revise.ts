import { isDeepStrictEqual } from 'node:util';
import type { KindDefinition } from '#api/kind.ts';
import type { ApiObject, ObjectKey, ObjectMeta } from '#api/object.ts';
import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import type { RandomSource } from '#base/random.ts';
import type { Precondition } from '#store/store.ts';

/** What a revision needs beside the object. */
export interface RevisionStamp {
  /** The version that the write gets. */
  readonly version: string;
  readonly clock: Clock;
  readonly random: RandomSource;
}

type Content = ApiObject & { readonly status?: unknown };
type ServerMeta =
  | 'name'
  | 'namespace'
  | 'uid'
  | 'resourceVersion'
  | 'generation'
  | 'creationTimestamp';

/** Whether the kind counts the changes of its wanted state (Kubernetes: custom kinds, and pods). */
function hasGeneration(kind: KindDefinition): boolean {
  return kind.custom;
}

/**
 * The object as it is first stored: uid, version, creation time and generation set, whatever was
 * given for them. Pure but for the random uid; also tells a dry run what would have been stored.
 */
export function firstRevision(
  kind: KindDefinition,
  object: ApiObject,
  { version, clock, random }: RevisionStamp,
): ApiObject {
  const { name, namespace, generateName, ...given } = object.metadata;
  const { uid: _u, resourceVersion: _r, generation: _g, creationTimestamp: _c, ...rest } = given;
  const metadata: ObjectMeta = {
    name,
    ...(generateName === undefined ? {} : { generateName }),
    ...(kind.namespaced && namespace !== undefined ? { namespace } : {}),
    uid: randomUid(random),
    resourceVersion: version,
    ...(hasGeneration(kind) ? { generation: 1 } : {}),
    creationTimestamp: secondsTimestamp(clock.now()),
    ...rest,
  };
  return assemble(kind, object, metadata, (object as Content).status);
}

/**
 * The object after an update that leaves status alone; `current` itself when that changes nothing.
 */
export function nextRevision(
  kind: KindDefinition,
  current: ApiObject,
  incoming: ApiObject,
  version: string,
): ApiObject {
  const status = kind.statusSubresource
    ? (current as Content).status
    : (incoming as Content).status;
  const unversioned = assemble(kind, incoming, mergedMeta(current, incoming), status);
  if (isDeepStrictEqual(unversioned, current)) return current;
  const changed =
    !isDeepStrictEqual(wantedState(unversioned), wantedState(current)) ||
    (unversioned.metadata.deletionTimestamp !== undefined &&
      current.metadata.deletionTimestamp === undefined);
  const generation = current.metadata.generation ?? 1;
  return assemble(
    kind,
    unversioned,
    {
      ...unversioned.metadata,
      resourceVersion: version,
      ...(hasGeneration(kind) ? { generation: changed ? generation + 1 : generation } : {}),
    },
    status,
  );
}

/** The object with the status of `incoming`; `current` itself when that changes nothing. */
export function nextStatus(
  kind: KindDefinition,
  current: ApiObject,
  incoming: ApiObject,
  version: string,
): ApiObject {
  const { status } = incoming as Content;
  if (isDeepStrictEqual(status, (current as Content).status)) return current;
  const metadata = { ...current.metadata, resourceVersion: version };
  return assemble(kind, current, metadata, status);
}

/** The last state of a deleted object, under the version of its deletion. */
export function lastRevision(current: ApiObject, version: string): ApiObject {
  const metadata = { ...current.metadata, resourceVersion: version };
  return { ...current, metadata };
}

/** @throws BulwarkError API_CONFLICT with `data.field`, `data.wanted` and `data.present` */
export function checkPrecondition(
  key: ObjectKey,
  current: ApiObject,
  { uid, resourceVersion }: Precondition,
): void {
  const fail = (field: string, wanted: string, present: string | undefined): BulwarkError =>
    new BulwarkError('API_CONFLICT', `${key.kind} "${key.name}" has another ${field} by now`, {
      remedy: 'read the object again and apply the change to what is there now',
      data: { ...key, field, wanted, present },
    });
  const { metadata } = current;
  if (uid && uid !== metadata.uid) throw fail('uid', uid, metadata.uid);
  if (resourceVersion && resourceVersion !== metadata.resourceVersion) {
    throw fail('resourceVersion', resourceVersion, metadata.resourceVersion);
  }
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export function secondsTimestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** What the user asks for: all but metadata and status. */
function wantedState(object: ApiObject): unknown {
  const { metadata: _m, status: _s, apiVersion: _a, ...rest } = object as Content;
  return rest;
}

function mergedMeta(current: ApiObject, incoming: ApiObject): ObjectMeta {
  const kept: Pick<ObjectMeta, ServerMeta> = current.metadata;
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp } = kept;
  const own = { name, namespace, uid, resourceVersion, generation, creationTimestamp };
  return defined({ ...incoming.metadata, ...own }) as ObjectMeta;
}

function defined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** One order of keys for every object, and the version that is stored. */
function assemble(
  kind: KindDefinition,
  object: ApiObject,
  metadata: ObjectMeta,
  status: unknown,
): ApiObject {
  const { apiVersion: _a, kind: _k, metadata: _m, status: _s, ...rest } = object as Content;
  return {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata,
    ...rest,
    ...(status === undefined ? {} : { status }),
  };
}

/** A random UUID (RFC 9562, version 4). */
export function randomUid(random: RandomSource): string {
  const bytes = Buffer.from(random.bytes(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return `${parts.join('-')}-${hex.slice(20)}`;
}
