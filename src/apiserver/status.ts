import type { Diagnostic } from '#api/diagnostic.ts';

/** One reason of a refusal: which field, and why (meta/v1 StatusCause). */
export interface StatusCause {
  readonly reason?: string;
  readonly message: string;
  readonly field?: string;
}

/** What a Status is about (meta/v1 StatusDetails). */
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
function qualified({ group, name }: Resource): string {
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

/** 400: the request makes no sense. */
export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

/** 401: the credentials do not hold. No word on why. */
export function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized');
}

/** 403: the caller may not. `why` follows "is forbidden: ". */
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

/** 403 for a path that is no resource. */
export function forbiddenPath(message: string): ApiError {
  return new ApiError(403, 'Forbidden', `forbidden: ${message}`, {});
}

/** 404: there is no object of this name. */
export function notFound(resource: Resource, name: string): ApiError {
  const message = `${qualified(resource)} "${name}" not found`;
  return new ApiError(404, 'NotFound', message, detailsOf(resource, name));
}

/** 404: the path names no resource that is served. */
export function unknownResource(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});
}

/** 405: the resource does not take this method. */
export function methodNotAllowed(): ApiError {
  const message = 'the server does not allow this method on the requested resource';
  return new ApiError(405, 'MethodNotAllowed', message, {});
}

/** 406: the answer has no form that the client accepts. */
export function notAcceptable(message: string): ApiError {
  return new ApiError(406, 'NotAcceptable', message, {});
}

/** 409: the name is taken; `deleting` = by an object that is about to go. */
export function alreadyExists(resource: Resource, name: string, deleting = false): ApiError {
  const before = deleting ? 'object is being deleted: ' : '';
  const message = `${before}${qualified(resource)} "${name}" already exists`;
  return new ApiError(409, 'AlreadyExists', message, detailsOf(resource, name));
}

/** 409: the object is not as the client thinks. `why` comes after "Operation cannot …". */
export function conflict(resource: Resource, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`;
  return new ApiError(409, 'Conflict', message, detailsOf(resource, name));
}

/** 410: the resource version is too old. */
export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message);
}

/** 413: the body is over the bound. */
export function tooLarge(bytesMax: number): ApiError {
  const message = `Request entity too large: limit is ${bytesMax}`;
  return new ApiError(413, 'RequestEntityTooLarge', message);
}

/** 415: the body is of a type that is not read here. */
export function unsupportedMediaType(accepted: readonly string[]): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return new ApiError(415, 'UnsupportedMediaType', message);
}

/** 422: what is wrong with an object; `kind.name` is the kind, not the plural. */
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

/** 422: the patch does not apply; Kubernetes says no more than this. */
export function unprocessable(): ApiError {
  const message = 'the server rejected our request due to an error in our request';
  return new ApiError(422, 'Invalid', message, {});
}

/** 500: it is not the client's fault. `message` must say nothing that clients should not know. */
export function internalError(message: string): ApiError {
  return new ApiError(500, 'InternalError', `Internal error occurred: ${message}`, {
    causes: [{ message }],
  });
}

/** 504: the version asked for has not been reached. */
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
