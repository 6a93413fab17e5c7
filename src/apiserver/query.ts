import type { Diagnostic } from '#api/diagnostic.ts';
import { forbidden, unsupported } from '#api/field-error.ts';
import { type ApiError, badRequest, invalid } from '#apiserver/status.ts';

/** What a GET of a collection asks for (meta/v1 ListOptions). */
export interface ListOptions {
  readonly labelSelector: string;
  readonly fieldSelector: string;
  /** Items of one page; 0 = all. */
  readonly limit: number;
  /** The token of the page before; '' = the first page. */
  readonly continue: string;
  /** '' = not given. */
  readonly resourceVersion: string;
  readonly resourceVersionMatch: '' | 'Exact' | 'NotOlderThan';
  readonly watch: boolean;
  readonly allowWatchBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
  /** Undefined = the server decides. */
  readonly timeoutSeconds: number | undefined;
}

const MATCHES = ['Exact', 'NotOlderThan'] as const;

/** @throws ApiError 400 or 422 in Kubernetes' words */
export function listOptions(query: URLSearchParams, watch: boolean): ListOptions {
  const match = query.get('resourceVersionMatch') ?? '';
  const options = {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    limit: Math.max(0, wholeNumber(query, 'limit') ?? 0),
    continue: query.get('continue') ?? '',
    resourceVersion: query.get('resourceVersion') ?? '',
    watch,
    allowWatchBookmarks: isTrue(query, 'allowWatchBookmarks'),
    sendInitialEvents: query.has('sendInitialEvents')
      ? isTrue(query, 'sendInitialEvents')
      : undefined,
    timeoutSeconds: wholeNumber(query, 'timeoutSeconds'),
  };
  const problems = watch ? watchProblems(options, match) : listProblems(options, match);
  const [first] = problems;
  if (first) throw invalidOptions('ListOptions', problems);
  return { ...options, resourceVersionMatch: MATCHES.find((word) => word === match) ?? '' };
}

type Unmatched = Omit<ListOptions, 'resourceVersionMatch'>;

function listProblems(options: Unmatched, match: string): Diagnostic[] {
  const field = 'resourceVersionMatch';
  const problems: Diagnostic[] = [];
  if (match !== '') {
    if (options.resourceVersion === '') {
      problems.push(
        forbidden(field, 'resourceVersionMatch is forbidden unless resourceVersion is provided'),
      );
    }
    if (options.continue !== '') {
      problems.push(
        forbidden(field, 'resourceVersionMatch is forbidden when continue is provided'),
      );
    }
    problems.push(...unknownMatch(match));
    if (match === 'Exact' && options.resourceVersion === '0') {
      problems.push(
        forbidden(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
      );
    }
  }
  if (options.sendInitialEvents !== undefined) {
    problems.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  return problems;
}

function watchProblems({ sendInitialEvents }: Unmatched, match: string): Diagnostic[] {
  const field = 'resourceVersionMatch';
  if (sendInitialEvents !== undefined && match !== 'NotOlderThan') {
    const message = 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan';
    return [forbidden(field, message)];
  }
  if (match === '' || sendInitialEvents !== undefined) return [];
  const message =
    'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided';
  return [forbidden(field, message), ...unknownMatch(match)];
}

function unknownMatch(match: string): Diagnostic[] {
  if (MATCHES.some((word) => word === match)) return [];
  return [unsupported('resourceVersionMatch', match, [...MATCHES, ''])];
}

/** What is wrong with the options of a request. */
function invalidOptions(kind: string, problems: readonly Diagnostic[]): ApiError {
  return invalid({ group: 'meta.k8s.io', name: kind }, '', problems);
}

/** What goes with a write (meta/v1 CreateOptions, UpdateOptions, PatchOptions). */
export interface WriteOptions {
  /** Nothing is stored; the answer is what it would have been. */
  readonly dryRun: boolean;
  readonly fieldValidation: 'Strict' | 'Warn' | 'Ignore';
}

const VALIDATIONS = ['Ignore', 'Strict', 'Warn'] as const;

/** @throws ApiError 422 */
export function writeOptions(query: URLSearchParams, kind: string): WriteOptions {
  const problems: Diagnostic[] = [];
  const validation = query.get('fieldValidation') ?? '';
  if (validation !== '' && !VALIDATIONS.some((word) => word === validation)) {
    problems.push(unsupported('fieldValidation', validation, ['', ...VALIDATIONS]));
  }
  problems.push(...dryRunProblems(query.getAll('dryRun')));
  if (problems.length > 0) throw invalidOptions(kind, problems);
  return {
    dryRun: query.has('dryRun') && query.get('dryRun') !== '',
    fieldValidation: VALIDATIONS.find((word) => word === validation) ?? 'Warn',
  };
}

function dryRunProblems(values: readonly string[]): Diagnostic[] {
  const wrong = values.find((value) => value !== 'All' && value !== '');
  return wrong === undefined ? [] : [unsupported('dryRun', values, ['All'])];
}

/**
 * What goes with a deletion (meta/v1 DeleteOptions), from the query and the body; the body wins.
 */
export interface DeleteOptions {
  readonly dryRun: boolean;
  readonly propagationPolicy: 'Foreground' | 'Background' | 'Orphan' | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

const POLICIES = ['Foreground', 'Background', 'Orphan'] as const;

/**
 * @param body the decoded body, if there is one
 * @throws ApiError 400 or 422
 */
export function deleteOptions(
  query: URLSearchParams,
  body: Readonly<Record<string, unknown>> | undefined,
): DeleteOptions {
  const { kind, apiVersion } = body ?? {};
  if (kind !== undefined && kind !== 'DeleteOptions') {
    throw badRequest(
      `no kind "${kind}" is registered for version "${apiVersion}" as delete options`,
    );
  }
  const policy = body?.propagationPolicy ?? query.get('propagationPolicy') ?? undefined;
  const orphan = body?.orphanDependents ?? query.get('orphanDependents') ?? undefined;
  const dryRun = body?.dryRun ?? query.getAll('dryRun');
  const problems = Array.isArray(dryRun) ? dryRunProblems(dryRun.map(String)) : [];
  const known = POLICIES.find((word) => word === policy);
  if (policy !== undefined && orphan !== undefined) {
    const detail = 'orphanDependents and deletionPropagation cannot be both set';
    problems.push({
      severity: 'error',
      field: 'propagationPolicy',
      message: `Invalid value: ${JSON.stringify(policy)}: ${detail}`,
    });
  } else if (policy !== undefined && !known) {
    problems.push(unsupported('propagationPolicy', policy, [...POLICIES, 'nil']));
  }
  if (problems.length > 0) throw invalidOptions('DeleteOptions', problems);
  const preconditions = (body?.preconditions ?? {}) as Readonly<Record<string, unknown>>;
  return {
    dryRun: Array.isArray(dryRun) && dryRun.some((value) => value === 'All'),
    propagationPolicy: known ?? (orphan === true || orphan === 'true' ? 'Orphan' : undefined),
    uid: textOrNone(preconditions.uid),
    resourceVersion: textOrNone(preconditions.resourceVersion),
  };
}

function textOrNone(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Whether a flag of the query is on; there without a value counts as on. */
export function isTrue(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value.toLowerCase() !== 'false' && value !== '0';
}

function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw badRequest(
    `strconv.ParseInt: parsing ${JSON.stringify(text.slice(0, 40))}: invalid syntax`,
  );
}
