import { kindById } from '#api/kinds.ts';
import {
  type ApiError,
  alreadyExists,
  conflict,
  expired,
  forbidden,
  internalError,
  notFound,
  type Resource,
} from '#apiserver/status.ts';
import { BulwarkError } from '#base/errors.ts';

/** What the store tells about the object that an error is about. */
interface ErrorSubject {
  readonly kind?: string;
  readonly name?: string;
  readonly field?: string;
  readonly wanted?: string;
  readonly present?: string;
  readonly within?: { readonly kind: string; readonly name: string };
  readonly countMax?: number;
}

/** Plural and group of a kind id. */
function resourceOf(kindId: string): Resource {
  const kind = kindById(kindId);
  return { group: kind?.group ?? '', name: kind?.plural ?? kindId };
}

/** The refusal that goes with an error of the store; other errors come back as they are. */
export function storeFailure(error: unknown): unknown {
  if (!(error instanceof BulwarkError)) return error;
  const { kind = '', name = '', within, ...subject }: ErrorSubject = error.data;
  const resource = resourceOf(kind);
  switch (error.code) {
    case 'API_NOT_FOUND':
      if (within) return notFound(resourceOf(within.kind), within.name);
      return notFound(resource, name);
    case 'API_ALREADY_EXISTS':
      return alreadyExists(resource, name);
    case 'API_CONFLICT':
      return conflict(resource, name, conflictText(subject));
    case 'API_FORBIDDEN':
      if (within) return beingTerminated(resource, name, within.name);
      return forbidden(resource, name, subject.countMax === undefined ? '' : error.message);
    case 'API_EXPIRED':
      return expired('The resourceVersion for the provided list is too old.');
    case 'FILES_DISK_FULL':
      return internalError('no space left on the disk of the store; nothing was lost');
    case 'STORE_WRITE_FAILED':
      return internalError('the store cannot write; nothing was lost');
    default:
      return error;
  }
}

/** The namespace goes, so nothing may come into it. */
function beingTerminated(resource: Resource, name: string, namespace: string): ApiError {
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  const message = `namespace ${namespace} is being terminated`;
  const cause = { reason: 'NamespaceTerminating', message, field: 'metadata.namespace' };
  return forbidden(resource, name, why, [cause]);
}

function conflictText({ field, wanted, present }: ErrorSubject): string {
  if (field === 'uid') {
    return `Precondition failed: UID in precondition: ${wanted}, UID in object meta: ${present}`;
  }
  return MODIFIED;
}

/** Why a write from an old version is refused. */
export const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';
