import type { IncomingMessage } from 'node:http';
import { authenticate } from '#apiserver/authenticate.ts';
import { type Access, type Authorizer, refusal } from '#apiserver/authorize.ts';
import type { RequestHead } from '#apiserver/http-server.ts';
import { impersonated } from '#apiserver/impersonate.ts';
import { isTrue } from '#apiserver/query.ts';
import { parseRequest, type RequestInfo } from '#apiserver/request-info.ts';
import type { Admission } from '#apiserver/resource-context.ts';
import { selectedName } from '#apiserver/selectors.ts';
import type { ServiceAccountTokens } from '#apiserver/service-account-tokens.ts';
import type { Clock } from '#base/clock.ts';

/** Who asks for what, if they may. @throws ApiError 401 or 403 */
export async function admitRequest(
  { method, path, query }: RequestHead,
  raw: IncomingMessage,
  deps: {
    readonly tokens: ServiceAccountTokens;
    readonly authorizer: Authorizer;
    readonly clock: Clock;
  },
): Promise<Admission> {
  const credentials = await authenticate(raw, deps);
  const info = parseRequest(method, path, isTrue(query, 'watch'));
  const access = accessOf(info, query);
  const caller = impersonated(
    credentials,
    { access, headers: raw.headersDistinct },
    deps.authorizer,
  );
  const decision = deps.authorizer.authorize(caller, access);
  if (!decision.allowed) throw refusal(caller, access, decision);
  return { caller, info };
}

/**
 * What somebody wants to do: a collection from which a field selector takes one name is that one
 * object to roles that name it.
 */
export function accessOf(info: RequestInfo, query: URLSearchParams): Access {
  if (info.type === 'path' || info.name !== '' || !ON_MANY.has(info.verb)) return info;
  const name = selectedName(query.get('fieldSelector') ?? '');
  return name === undefined ? info : { ...info, name };
}

const ON_MANY: ReadonlySet<string | undefined> = new Set(['list', 'watch', 'deletecollection']);
