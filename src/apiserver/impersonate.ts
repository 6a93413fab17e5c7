import {
  type Access,
  AUTHENTICATED,
  type Authorizer,
  type Caller,
  type ResourceAccess,
  refusal,
} from '#apiserver/authorize.ts';
import { badRequest } from '#apiserver/status.ts';

/** Headers of a request, each with all its values. */
type Headers = NodeJS.Dict<string[]>;

const USER = 'impersonate-user';
const GROUP = 'impersonate-group';
const UID = 'impersonate-uid';
const EXTRA = 'impersonate-extra-';
const ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/;
/** Names that the narrow right to act as users does not mean. */
const NO_USER = /^system:(node|serviceaccount):/;
const AUTHENTICATION_GROUP = 'authentication.k8s.io';
const VALUES_MAX = 1000;

/** Somebody whom a caller wants to act as: `kubectl --as`. */
interface Wanted {
  readonly user: string;
  readonly groups: readonly string[];
  readonly uid: string | undefined;
  readonly extra: ReadonlyMap<string, readonly string[]>;
}

/**
 * Whose rights count: those of the caller, or of whom the caller may act as and says so in headers
 * (kubernetes.io, "User impersonation").
 * @throws ApiError 400, or 403 when the caller may not
 */
export function impersonated(
  caller: Caller,
  request: { readonly access: Access; readonly headers: Headers },
  authorizer: Authorizer,
): Caller {
  const wanted = readWanted(request.headers);
  if (!wanted) return caller;
  const account = ACCOUNT.exec(wanted.user) ?? undefined;
  const mode = account ? 'serviceaccount' : 'user-info';
  const { access } = request;
  // First with the narrow right to do just this as somebody else, then with the wide one.
  const verb = `impersonate-on:${mode}:${access.verb ?? ''}`;
  const narrow: Access = { ...access, verb };
  const onRequest = authorizer.authorize(caller, narrow);
  const may = (one: Access): boolean => authorizer.authorize(caller, one).allowed;
  const isNarrow =
    (account !== undefined || !NO_USER.test(wanted.user)) &&
    onRequest.allowed &&
    identities(wanted, `impersonate:${mode}`).every(may);
  if (!isNarrow && !identities(wanted, 'impersonate').every(may)) {
    throw refusal(caller, narrow, onRequest);
  }
  return { ...callerOf(wanted, account), actor: caller.username };
}

function readWanted(headers: Headers): Wanted | undefined {
  const names = Object.keys(headers).filter((name) => name.startsWith('impersonate-'));
  if (names.length === 0) return undefined;
  const [user = '', ...more] = headers[USER] ?? [];
  const groups = headers[GROUP] ?? [];
  const [uid, ...moreUids] = headers[UID] ?? [];
  const extra = new Map<string, readonly string[]>();
  for (const name of names.filter((one) => one.startsWith(EXTRA))) {
    extra.set(decoded(name.slice(EXTRA.length)), headers[name] ?? []);
  }
  if (user === '') throw badRequest(`${withoutUser(groups)} without impersonating a user name`);
  if (more.length + moreUids.length > 0) throw badRequest('more than one user to act as');
  const values = groups.length + [...extra.values()].flat().length;
  if (values > VALUES_MAX) throw badRequest('too many groups and extra values to act with');
  return { user, groups, uid, extra };
}

function withoutUser(groups: readonly string[]): string {
  const list = groups.map((group) => JSON.stringify(group)).join(', ');
  const shown = groups.length === 0 ? '[]string(nil)' : `[]string{${list}}`;
  return `requested &user.DefaultInfo{Name:"", UID:"", Groups:${shown}, Extra:map[string][]string(nil)}`;
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** What one must be allowed to act as, all of it. */
function identities(wanted: Wanted, verb: string): readonly ResourceAccess[] {
  const isNarrow = verb !== 'impersonate';
  // The wide verb is about users and groups of the core group, for as long as it is there.
  const people = isNarrow ? AUTHENTICATION_GROUP : '';
  const on = (
    resource: string,
    name: string,
    more: Partial<ResourceAccess> = {},
  ): ResourceAccess => {
    const place = { group: people, subresource: '', namespace: '' };
    return { type: 'resource', verb, resource, name, ...place, ...more };
  };
  const [, namespace, name = ''] = ACCOUNT.exec(wanted.user) ?? [];
  const others = { group: AUTHENTICATION_GROUP };
  return [
    namespace === undefined ? on('users', wanted.user) : on('serviceaccounts', name, { namespace }),
    ...wanted.groups.map((group) => on('groups', group)),
    ...(wanted.uid === undefined ? [] : [on('uids', wanted.uid, others)]),
    ...[...wanted.extra].flatMap(([subresource, values]) =>
      values.map((value) => on('userextras', value, { ...others, subresource })),
    ),
  ];
}

function callerOf(
  { user, groups, uid, extra }: Wanted,
  account: RegExpExecArray | undefined,
): Caller {
  const own = account ? ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`] : [];
  const all = groups.length === 0 ? [...own] : [...groups];
  const isAnonymous = user === 'system:anonymous';
  const isKnown =
    isAnonymous || all.includes(AUTHENTICATED) || all.includes('system:unauthenticated');
  if (!isKnown) all.push(AUTHENTICATED);
  return {
    username: user,
    ...(uid === undefined ? {} : { uid }),
    groups: isAnonymous && groups.length === 0 ? ['system:unauthenticated'] : all,
    ...(extra.size === 0 ? {} : { extra: Object.fromEntries(extra) }),
  };
}
