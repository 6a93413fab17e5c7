import { regexProblem } from '#api/regex.ts';
import { attributeNamed } from '#mixer/attributes.ts';
import type { Test, TestClause } from '#mixer/formula.ts';
import { COMPUTED } from '#mixer/reference.ts';
import { parseAddressRange } from '#policy/authz/address-range.ts';
import type { AuthzContext } from '#policy/authz/compiled-policy.ts';
import type { Condition, RequestPrincipalMatch, Tests } from '#policy/authz/condition.ts';
import type { TextMatch } from '#policy/authz/text-match.ts';
import { expandPrincipal } from '#policy/authz/trust-domain.ts';
import { HARDENING } from '#policy/hardening.ts';

/** What a test comes to: a condition, or that it always or never comes out so. */
type Judged = Condition | 'always' | 'never';

/** A header name as Envoy takes it: a token (RFC 9110 section 5.1), or a pseudo-header. */
const HEADER = /^:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Attributes of which every request, and every connection, has one. */
const ALWAYS_PRESENT: ReadonlySet<string> = new Set([
  'source.ip',
  'destination.ip',
  'destination.port',
  'connection.mtls',
  'context.protocol',
  'request.method',
  'request.path',
  'request.url_path',
]);
const HEADERS: Readonly<Record<string, string>> = {
  'request.path': ':path',
  'request.useragent': 'user-agent',
  'request.referer': 'referer',
  'request.id': 'x-request-id',
};
const PRESENT: TextMatch = { match: 'present' };
/** Of what tokens say. */
const SAID: TextMatch = { match: 'present', spansLines: true };

/**
 * The conditions that a clause comes to; undefined when it can never hold. `field`: where the
 * expression is written.
 */
export function conditionsOf(
  clause: TestClause,
  context: AuthzContext,
  field: string,
): readonly Condition[] | undefined {
  const conditions: Condition[] = [];
  for (const test of clause) {
    const judged = judge(test, context, field);
    if (judged === 'never') return undefined;
    if (judged !== 'always') conditions.push(judged);
  }
  return conditions;
}

/** Whether a test needs HTTP. */
export function isOfHttp({ attribute }: Pick<Test, 'attribute'>): boolean {
  return attributeNamed(attribute)?.http === true;
}

function judge(test: Test, context: AuthzContext, field: string): Judged {
  const { attribute, match, values, holds } = test;
  // Envoy would refuse it, and keep the old configuration: without the test more is denied.
  if (match === 'pattern' && values.some((value) => regexProblem(value) !== undefined))
    return 'always';
  const opposite = (judged: 'always' | 'never') =>
    holds === (judged === 'always') ? 'always' : 'never';
  if (match === 'present' && ALWAYS_PRESENT.has(attribute)) return opposite('always');
  const tests = <M>(matches: readonly M[]): Tests<M> => ({
    values: holds ? matches : [],
    notValues: holds ? [] : matches,
    field,
    notField: field,
  });
  const made = conditionOf(test, context, tests);
  // A condition without values would ask for nothing.
  if (made === undefined || made.values.length + made.notValues.length === 0)
    return opposite('never');
  if (attribute !== 'connection.mtls' && attribute !== 'context.protocol') return made;
  return flagOf(attribute, values, made, { holds, opposite });
}

/** `true` or `false`, `grpc` or `http`: one is a condition, the other one that it does not hold. */
function flagOf(
  attribute: string,
  values: readonly string[],
  made: Condition,
  { holds, opposite }: { holds: boolean; opposite(judged: 'always' | 'never'): Judged },
): Judged {
  const [yes, no] = attribute === 'connection.mtls' ? ['true', 'false'] : ['grpc', 'http'];
  const [hasYes, hasNo] = [values.includes(yes), values.includes(no)];
  if (hasYes === hasNo) return opposite(hasYes ? 'always' : 'never');
  const isWanted = hasYes === holds;
  const all = [...made.values, ...made.notValues];
  return {
    ...made,
    values: isWanted ? all : [],
    notValues: isWanted ? [] : all,
  } as Condition;
}

type MakeTests = <M>(matches: readonly M[]) => Tests<M>;

/** Undefined when no request has such a value. */
function conditionOf(test: Test, context: AuthzContext, tests: MakeTests): Condition | undefined {
  const { attribute, key } = test;
  const { hostMatchIgnoresPort: portIgnored, claimsMatchByText: literals } =
    HARDENING[context.hardening];
  const texts = textMatches(test);
  const header = HEADERS[attribute];
  if (header !== undefined) return { on: 'header', name: header, ...tests(texts) };
  switch (attribute) {
    case 'source.principal':
    case 'source.user':
      return { on: 'principal', ofPeer: true, ...tests(principals(test, context)) };
    case 'source.serviceAccount':
      return { on: 'principal', ofPeer: true, ...tests(accounts(test)) };
    case 'connection.mtls':
      return { on: 'principal', ofPeer: true, ...tests([PRESENT]) };
    case 'source.namespace':
    case 'source.workload.namespace':
      return { on: 'namespace', anchored: true, ...tests(texts) };
    case 'source.ip':
      return { on: 'sourceIp', ...tests(ranges(test)) };
    case 'destination.ip':
      return { on: 'destinationIp', ...tests(ranges(test)) };
    case 'destination.port':
      return { on: 'port', ...tests(test.values.map(Number)) };
    case 'request.method':
      return { on: 'method', ...tests(texts) };
    case 'request.url_path':
      return { on: 'path', ...tests(texts) };
    case 'request.host':
      return { on: 'host', portIgnored, ...tests(texts) };
    case 'request.headers':
      if (key === undefined || !HEADER.test(key)) return undefined;
      return { on: 'header', name: key.toLowerCase(), ...tests(texts) };
    case 'request.auth.principal':
      return { on: 'requestPrincipal', ...tests(endUsers(test)) };
    case 'request.auth.audiences':
      return { on: 'claim', path: ['aud'], literals, ...tests(textMatches(test, SAID)) };
    case 'request.auth.presenter':
      return { on: 'claim', path: ['azp'], literals, ...tests(textMatches(test, SAID)) };
    case 'request.auth.claims':
      if (!key) return undefined;
      return { on: 'claim', path: [key], literals, ...tests(textMatches(test, SAID)) };
    case COMPUTED:
      return { on: 'computed', expression: key ?? '', ...tests(texts) };
    case 'connection.requested_server_name':
      return { on: 'serverName', ...tests(texts) };
    case 'context.protocol': {
      const grpc = { match: 'prefix', value: 'application/grpc' } as const;
      return { on: 'header', name: 'content-type', ...tests([grpc]) };
    }
    default:
      return undefined;
  }
}

function textMatches({ match, values }: Test, present = PRESENT): readonly TextMatch[] {
  switch (match) {
    case 'present':
      return [present];
    case 'equals':
    case 'block':
      return values.map((value) => ({ match: 'exact', value }));
    case 'prefix':
    case 'suffix':
    case 'pattern':
      return values.map((value) => ({ match, value }));
  }
}

/** Identities without `spiffe://`; those of our trust domain under all its names. */
function principals(test: Test, context: AuthzContext): readonly TextMatch[] {
  const { trustDomain, trustDomainAliases = [] } = context;
  const domains = [trustDomain, ...trustDomainAliases] as const;
  return textMatches(test).flatMap((match): TextMatch[] => {
    if (match.match === 'present' || match.match === 'pattern') return [match];
    const value = match.match === 'suffix' ? match.value : match.value.replace(/^spiffe:\/\//, '');
    if (match.match !== 'exact') return [{ match: match.match, value }];
    if (value.includes('*')) return [{ match: 'exact', value }];
    return expandPrincipal(value, domains).map((one) => ({ match: 'exact', value: one }));
  });
}

function accounts({ match, values }: Test): readonly TextMatch[] {
  if (match === 'present') return [PRESENT];
  return values.map((value) => ({ match: 'suffix', value: `/sa/${value}` }));
}

function ranges({ values }: Test) {
  return values.flatMap((value) => parseAddressRange(value) ?? []);
}

/** `<issuer>/<subject>`: an issuer may have slashes. */
function endUsers({ match, values }: Test): readonly RequestPrincipalMatch[] {
  if (match === 'present') return [{ issuer: SAID, subject: SAID }];
  return values.map((value) => {
    const slash = value.lastIndexOf('/');
    return {
      issuer: { match: 'exact', value: slash < 0 ? value : value.slice(0, slash) },
      subject: { match: 'exact', value: value.slice(slash + 1) },
    };
  });
}
