import type { Diagnostic } from '#api/diagnostic.ts';

/** One reason of a refusal: which field, and why (meta/v1 StatusCause). */
export interface StatusCause {
  readonly reason?: string;
  readonly message: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** What the API answers when there is no object to answer with (meta/v1 Status). */
export interface StatusBody {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Readonly<Record<string, never>>;
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
}

/** Which objects an error is about: `details.kind` and `details.group`, and both in the message. */
export interface Resource {
  readonly group: string;
  /** Plural name for most errors; the kind for Invalid and for some conflicts. */
  readonly name: string;
}

/** A refusal by the API, with the words and codes of a Kubernetes API server: tools read them. */
export class ApiError extends Error {
  readonly body: StatusBody;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: number,
    reason: string | undefined,
    message: string,
    details?: StatusDetails,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = 'ApiError';
    this.headers = headers;
    this.body = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason === undefined ? {} : { reason }),
      ...(details === undefined ? {} : { details }),
      code,
    };
  }
}

/** `configmaps`, `peerauthentications.security.istio.io`. */
export function qualified({ group, name }: Resource): string {
  return group === '' ? name : `${name}.${group}`;
}

function detailsOf(resource: Resource, name: string, more: StatusDetails = {}): StatusDetails {
  return {
    ...(name === '' ? {} : { name }),
    ...(resource.group === '' ? {} : { group: resource.group }),
    ...(resource.name === '' ? {} : { kind: resource.name }),
    ...more,
  };
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

export function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized');
}

/** `why` follows "is forbidden: ". */
export function forbidden(
  resource: Resource,
  name: string,
  why: string,
  causes?: readonly StatusCause[],
): ApiError {
  const subject = name === '' ? qualified(resource) : `${qualified(resource)} "${name}"`;
  const details = detailsOf(resource, name, causes ? { causes } : {});
  return new ApiError(403, 'Forbidden', `${subject} is forbidden: ${why}`, details);
}

/** A path that is no resource. */
export function forbiddenPath(message: string): ApiError {
  return new ApiError(403, 'Forbidden', `forbidden: ${message}`, {});
}

export function notFound(resource: Resource, name: string): ApiError {
  const message = `${qualified(resource)} "${name}" not found`;
  return new ApiError(404, 'NotFound', message, detailsOf(resource, name));
}

/** The path names no resource that is served. */
export function unknownResource(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function methodNotAllowed(): ApiError {
  const message = 'the server does not allow this method on the requested resource';
  return new ApiError(405, 'MethodNotAllowed', message, {});
}

export function notAcceptable(message: string): ApiError {
  return new ApiError(406, 'NotAcceptable', message, {});
}

export function alreadyExists(resource: Resource, name: string, deleting = false): ApiError {
  const before = deleting ? 'object is being deleted: ' : '';
  const message = `${before}${qualified(resource)} "${name}" already exists`;
  return new ApiError(409, 'AlreadyExists', message, detailsOf(resource, name));
}

/** `why` follows "Operation cannot be fulfilled on …: ". */
export function conflict(resource: Resource, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`;
  return new ApiError(409, 'Conflict', message, detailsOf(resource, name));
}

/** The resource version is too old. */
export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message);
}

export function tooLarge(bytesMax: number): ApiError {
  const message = `Request entity too large: limit is ${bytesMax}`;
  return new ApiError(413, 'RequestEntityTooLarge', message);
}

export function unsupportedMediaType(accepted: readonly string[]): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return new ApiError(415, 'UnsupportedMediaType', message);
}

/** What is wrong with an object; `kind.name` is the kind, not the plural. */
export function invalid(
  kind: Resource,
  name: string,
  diagnostics: readonly Pick<Diagnostic, 'field' | 'message' | 'reason'>[],
): ApiError {
  const causes = diagnostics.map(({ field, message, reason }) => ({
    reason: reason ?? 'FieldValueInvalid',
    message,
    field,
  }));
  const texts = causes.map(({ field, message }) => `${field}: ${message}`);
  const all = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const message = `${qualified(kind)} "${name}" is invalid: ${all}`;
  return new ApiError(422, 'Invalid', message, detailsOf(kind, name, { causes }));
}

/** The patch does not apply; Kubernetes says no more than this. */
export function unprocessable(): ApiError {
  const message = 'the server rejected our request due to an error in our request';
  return new ApiError(422, 'Invalid', message, {});
}

export function internalError(message: string): ApiError {
  return new ApiError(500, 'InternalError', `Internal error occurred: ${message}`, {
    causes: [{ message }],
  });
}

/** The version asked for has not been reached. */
export function futureVersion(wanted: string, current: string): ApiError {
  const message = `Timeout: Too large resource version: ${wanted}, current: ${current}`;
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  return new ApiError(
    504,
    'Timeout',
    message,
    { causes, retryAfterSeconds: 1 },
    {
      'retry-after': '1',
    },
  );
}

/** The Status of a thing that was done, such as a deletion. */
export function success(details: StatusDetails): StatusBody {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
}
