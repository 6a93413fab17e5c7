import type { Diagnostic } from '#api/diagnostic.ts';
import { LIMITS } from '#base/limits.ts';
import { type AddressRange, parseAddressRange } from '#policy/authz/address-range.ts';
import type { AuthzContext } from '#policy/authz/compiled-policy.ts';
import type {
  Condition,
  MetadataMatch,
  PathMatch,
  RequestPrincipalMatch,
  ServiceAccountMatch,
  Tests,
} from '#policy/authz/condition.ts';
import { isPathTemplate, parsePathTemplate } from '#policy/authz/path-template.ts';
import { parseTextMatch, type TextMatch } from '#policy/authz/text-match.ts';
import { expandPrincipal } from '#policy/authz/trust-domain.ts';
import { HARDENING } from '#policy/hardening.ts';

/** What a condition is about, before its values are read. */
export type Subject =
  | { readonly on: 'header'; readonly name: string }
  | { readonly on: 'claim'; readonly path: readonly string[] }
  | { readonly on: 'metadata'; readonly filter: string; readonly key: string }
  | { [K in PlainSubject]: { readonly on: K } }[PlainSubject];

type PlainSubject = Exclude<Condition['on'], 'header' | 'claim' | 'metadata'>;

/** The values of one condition as the user wrote them, and their fields in the policy. */
export interface ConditionInput {
  readonly values: readonly string[];
  readonly notValues: readonly string[];
  readonly field: string;
  readonly notField: string;
}

/**
 * The policy that is being read. What cannot be understood must not let anybody in: `narrow`
 * (ALLOW) makes a rule match less, `widen` (all other actions) makes it match more. Either way it
 * is told in `diagnostics`.
 */
export interface Reading {
  readonly context: AuthzContext;
  readonly namespace: string;
  readonly doubt: 'narrow' | 'widen';
  readonly diagnostics: Diagnostic[];
}

/** A condition; `never` when it cannot hold; undefined when it asks for nothing. */
export type ReadCondition = Condition | 'never' | undefined;

/** The matchers that a value stands for, or what is wrong with it. */
type Parse<M> = (value: string) => readonly M[] | string;

const PORT_MAX = 65_535;
const SPIFFE_SCHEME = 'spiffe://';

/** Reads one condition. */
export function readCondition(
  subject: Subject,
  input: ConditionInput,
  reading: Reading,
): ReadCondition {
  const { context, namespace } = reading;
  const hardening = HARDENING[context.hardening];
  const anchored = hardening.peerIdentityIsAnchored;
  const portIgnored = hardening.hostMatchIgnoresPort;
  const literals = hardening.claimsMatchByText;
  const whole = hardening.presenceSpansLines ? spanningLines : oneLine;
  const read = <M>(parse: Parse<M>, condition: (tests: Tests<M>) => Condition): ReadCondition => {
    const tests = readTests(input, parse, reading);
    return typeof tests === 'object' ? condition(tests) : tests;
  };
  switch (subject.on) {
    case 'principal':
      return read(principalParser(context), (tests) => ({ on: subject.on, ...tests }));
    case 'namespace':
      return read(parseText, (tests) => ({ on: subject.on, anchored, ...tests }));
    case 'serviceAccount':
      return read(serviceAccountParser(namespace), (tests) => ({
        on: subject.on,
        anchored,
        ...tests,
      }));
    case 'trustDomain':
    case 'serverName':
    case 'method':
      return read(parseText, (tests) => ({ on: subject.on, ...tests }));
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return read(parseIp, (tests) => ({ on: subject.on, ...tests }));
    case 'port':
      return read(parsePort, (tests) => ({ on: subject.on, ...tests }));
    case 'requestPrincipal':
      return read(requestPrincipalParser(whole), (tests) => ({ on: subject.on, ...tests }));
    case 'host':
      return read(parseText, (tests) => ({ on: subject.on, portIgnored, ...tests }));
    case 'path':
      return read(pathParser(hardening.templateMatchesAnyCharacter), (tests) => ({
        on: subject.on,
        ...tests,
      }));
    case 'metadata':
      return read(parseMetadata, (tests) => ({ ...subject, ...tests }));
    case 'claim':
      return read(
        (value) => [whole(parseTextMatch(value))],
        (tests) => ({ ...subject, literals, ...tests }),
      );
    case 'header':
      return read(parseText, (tests) => ({ ...subject, ...tests }));
  }
}

/**
 * Reads the values of a condition. A value that makes no sense is told, and then: where doubt
 * narrows, a value matches nothing and a `not` value everything; where it widens, the other way
 * round.
 */
function readTests<M>(
  input: ConditionInput,
  parse: Parse<M>,
  reading: Reading,
): Tests<M> | 'never' | undefined {
  const positive = parseAll(input.values, input.field, parse, reading.diagnostics);
  const negative = parseAll(input.notValues, input.notField, parse, reading.diagnostics);
  const isNarrow = reading.doubt === 'narrow';
  if (isNarrow && negative.someAreWrong) return 'never';
  if (isNarrow && positive.someAreWrong && positive.matches.length === 0) return 'never';
  const values = !isNarrow && positive.someAreWrong ? [] : positive.matches;
  if (values.length === 0 && negative.matches.length === 0) return undefined;
  const { field, notField } = input;
  return { values, notValues: negative.matches, field, notField };
}

function parseAll<M>(
  texts: readonly string[],
  field: string,
  parse: Parse<M>,
  diagnostics: Diagnostic[],
): { readonly matches: readonly M[]; readonly someAreWrong: boolean } {
  const matches: M[] = [];
  let someAreWrong = false;
  for (const [index, text] of texts.entries()) {
    const parsed = problemOfLength(text) ?? parse(text);
    const tell = (severity: Diagnostic['severity'], message: string) =>
      diagnostics.push({ severity, field: `${field}[${index}]`, message });
    if (typeof parsed === 'string') {
      someAreWrong = true;
      tell('error', parsed);
      continue;
    }
    matches.push(...parsed);
    const trap = trapIn(text);
    if (trap !== undefined) tell('warning', trap);
  }
  return { matches, someAreWrong };
}

/** What its author may take for something else than it is. */
function trapIn(text: string): string | undefined {
  if (isPathTemplate(text)) return undefined;
  if (text.replace(/^\*|\*$/, '').includes('*'))
    return 'only one `*`, at the beginning or at the end, is a wildcard; this has another';
  return undefined;
}

function problemOfLength(text: string): string | undefined {
  if (text === '') return 'a value must not be empty';
  const lengthMax = LIMITS.policyValueLengthMax;
  return text.length > lengthMax ? `a value has at most ${lengthMax} characters` : undefined;
}

/** What `*` stands for. */
type Presence = (match: TextMatch) => TextMatch;

const oneLine: Presence = (match) => match;
const spanningLines: Presence = (match) =>
  match.match === 'present' ? { match: 'present', spansLines: true } : match;

const parseText: Parse<TextMatch> = (value) => [parseTextMatch(value)];

function principalParser(context: AuthzContext): Parse<TextMatch> {
  const schemeIsOptional = HARDENING[context.hardening].principalSchemeIsOptional;
  return (value) => {
    const isUri = schemeIsOptional && value.startsWith(SPIFFE_SCHEME);
    const principal = isUri ? value.slice(SPIFFE_SCHEME.length) : value;
    if (principal === '') return 'a principal is `<trust domain>/ns/<namespace>/sa/<account>`';
    const trustDomains = [context.trustDomain, ...(context.trustDomainAliases ?? [])] as const;
    return expandPrincipal(principal, trustDomains).map(parseTextMatch);
  };
}

function serviceAccountParser(ownNamespace: string): Parse<ServiceAccountMatch> {
  return (value) => {
    const parts = value.split('/');
    const [namespace = '', name = ''] = parts.length === 1 ? [ownNamespace, value] : parts;
    const isWhole = parts.length <= 2 && namespace !== '' && name !== '';
    if (isWhole && !value.includes('*')) return [{ namespace, name }];
    return 'a service account is `<namespace>/<name>` or `<name>`, without wildcards';
  };
}

const parseIp: Parse<AddressRange> = (value) => {
  const range = parseAddressRange(value);
  return range === undefined
    ? 'an address is `1.2.3.4`, `1.2.3.0/24` or the like in IPv6'
    : [range];
};

const parsePort: Parse<number> = (value) => {
  const port = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  return port <= PORT_MAX ? [port] : `a port is a number from 0 to ${PORT_MAX}`;
};

/**
 * The subject begins after the last slash: an issuer may be a URL. One wildcard counts, at either
 * end of the whole value. Without a slash the part that the value leaves open may be anything, and
 * an exact value has no subject.
 */
function readRequestPrincipal(value: string): RequestPrincipalMatch {
  const slash = value.lastIndexOf('/');
  if (slash < 0) return requestPrincipalOfOnePart(parseTextMatch(value));
  const [issuer, subject] = [value.slice(0, slash), value.slice(slash + 1)];
  if (value.startsWith('*')) return { issuer: parseTextMatch(issuer), subject: exact(subject) };
  if (subject === '*') return { issuer: exact(issuer), subject: { match: 'present' } };
  if (!subject.endsWith('*')) return { issuer: exact(issuer), subject: exact(subject) };
  return { issuer: exact(issuer), subject: { match: 'prefix', value: subject.slice(0, -1) } };
}

function requestPrincipalParser(whole: Presence): Parse<RequestPrincipalMatch> {
  return (value) => {
    const { issuer, subject } = readRequestPrincipal(value);
    return [{ issuer: whole(issuer), subject: whole(subject) }];
  };
}

function requestPrincipalOfOnePart(whole: TextMatch): RequestPrincipalMatch {
  if (whole.match === 'suffix') return { issuer: { match: 'present' }, subject: whole };
  return { issuer: whole, subject: whole.match === 'exact' ? exact('') : { match: 'present' } };
}

function exact(value: string): TextMatch {
  return { match: 'exact', value };
}

function pathParser(anyCharacter: boolean): Parse<PathMatch> {
  return (value) => {
    if (!isPathTemplate(value)) return [parseTextMatch(value)];
    const template = parsePathTemplate(value, anyCharacter);
    if (template !== undefined) return [{ match: 'template', template }];
    return 'a path template has segments of text, or `{*}`, or `{**}` after which there is no operator';
  };
}

const parseMetadata: Parse<MetadataMatch> = (value) => {
  const inList = value.startsWith('[') && value.endsWith(']');
  const text = inList ? value.slice(1, -1) : value;
  return text === '' ? 'a value must not be empty' : [{ inList, text: parseTextMatch(text) }];
};
