import type { PathTest, PortTokens } from '#policy/authn/jwt.ts';
import type { CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { Condition } from '#policy/authz/condition.ts';
import type { TextMatch } from '#policy/authz/text-match.ts';
import { parseSpiffeId, type SpiffeId } from '#spiffe/spiffe-id.ts';

/** A request to a workload on which two meshes are compared. */
export interface Probe {
  readonly identity?: SpiffeId | undefined;
  readonly address: string;
  readonly originalAddress?: string;
  readonly destinationAddress?: string;
  readonly port: number;
  readonly serverName?: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The payload of its token. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
  readonly metadata?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Some fields of a request; headers and claims are added to those that are there. */
type Change = Partial<Probe>;

/** Up to here every rule's requests are changed by what any rule asks for. */
const PROBES_EACH_MAX = 20_000;
/** Requests that are tried for one workload at most. */
const PROBES_MAX = 200_000;

const PLAIN: Probe = {
  identity: undefined,
  address: '192.0.2.1',
  port: 0,
  method: 'GET',
  host: 'host.test',
  path: '/',
  headers: {},
};

const STRANGER = parseSpiffeId('spiffe://stranger.test/ns/stranger/sa/stranger');

/** What decides about a workload, in either mesh. */
export interface Deciding {
  readonly rules: readonly CompiledRule[];
  readonly tokens: readonly PortTokens[];
  readonly ports: readonly number[];
}

/** Requests to try, and whether they are all that the conditions ask for. */
export interface Probes {
  readonly list: readonly Probe[];
  readonly isWhole: boolean;
}

/**
 * Requests that meet every condition of the rules, and such that miss it: those that fulfil a rule,
 * each with one thing changed. Of few rules everything is changed in the requests of each, of many
 * what that rule asks for, and what all have in common. No random: the same rules give the same
 * requests.
 */
export function probesFor({ rules, tokens, ports }: Deciding): Probes {
  const tokenChanges = tokens.flatMap(({ rules: issuers }) =>
    issuers.map(({ issuer, audiences }) => tokenOf(issuer, audiences)),
  );
  const [anyToken = tokenOf('issuer.test', [])] = tokenChanges;
  const triggers = tokens.flatMap((one) => one.rules.flatMap((rule) => rule.triggers));
  const common = distinct<Change>([
    {},
    ...ports.map((port) => ({ port })),
    { identity: STRANGER },
    { identity: undefined },
    { claims: undefined },
    ...tokenChanges,
    // One that nobody takes.
    tokenOf('https://issuer.invalid', []),
    ...triggers.flatMap(({ excluded, included }) =>
      [...excluded, ...included].flatMap(pathChanges),
    ),
    { method: 'OPTIONS', headers: { origin: 'a', 'access-control-request-method': 'GET' } },
    { method: 'OPTIONS', headers: { origin: 'a' } },
    { method: 'OPTIONS', headers: { 'access-control-request-method': 'GET' } },
    { path: '/probe/of/nothing' },
  ]);
  const parts = [
    { bases: [PLAIN, ...tokenChanges.map((change) => changed(PLAIN, change))], own: [] },
    ...rules.map((rule) => ({
      bases: fulfilling(rule, anyToken),
      own: conditionsOf(rule).flatMap((condition) => changesOf(condition, anyToken)),
    })),
  ];
  const all = distinct([...common, ...parts.flatMap(({ own }) => own)]);
  const bases = parts.reduce((sum, part) => sum + part.bases.length, 0);
  const isSmall = ports.length * bases * all.length <= PROBES_EACH_MAX;
  const found = new Map<string, Probe>();
  for (const part of parts) {
    const changes = isSmall ? all : distinct<Change>([...common, ...part.own]);
    for (const base of part.bases) {
      for (const port of ports) {
        for (const change of changes) {
          const probe = changed({ ...base, port }, change);
          found.set(textOf(probe), probe);
        }
      }
      if (found.size > PROBES_MAX) return { list: [...found.values()], isWhole: false };
    }
  }
  return { list: [...found.values()], isWhole: true };
}

function conditionsOf({ sources, operations }: CompiledRule): readonly Condition[] {
  return [...sources, ...operations].flat();
}

/** One request for each clause of either half, all of whose conditions hold if they can. */
function fulfilling({ sources, operations }: CompiledRule, anyToken: Change): readonly Probe[] {
  return sources.flatMap((source) =>
    operations.map((operation) =>
      [...source, ...operation]
        .flatMap((condition) => changesOf(condition, anyToken).slice(0, 1))
        .reduce(changed, PLAIN),
    ),
  );
}

function changed(probe: Probe, change: Change): Probe {
  const headers = { ...probe.headers, ...change.headers };
  const drops = 'claims' in change && change.claims === undefined;
  const merged = { ...probe.claims, ...change.claims };
  const claims = drops || Object.keys(merged).length === 0 ? undefined : merged;
  return { ...probe, ...change, headers, claims };
}

function distinct<T>(list: readonly T[]): readonly T[] {
  return [...new Map(list.map((one) => [textOf(one), one])).values()];
}

/** A field that is to be taken away is not the same as one that is left alone. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_, field: unknown) => (field === undefined ? null : field));
}

function tokenOf(iss: string, audiences: readonly string[]): Change {
  const [aud] = audiences;
  return { claims: { iss, sub: 'someone', ...(aud === undefined ? {} : { aud }) } };
}

function pathChanges({ match, value }: PathTest): readonly Change[] {
  const paths = {
    exact: [value, `${value}x`],
    prefix: [value, `${value}x`, `x${value}`],
    suffix: [`/x${value}`, `${value}x`],
    regex: [value],
  }[match];
  return paths.map((path) => ({ path }));
}

/** Changes by which a condition comes to hold, the first of them at best, and some by which not. */
function changesOf(condition: Condition, anyToken: Change): readonly Change[] {
  const { on } = condition;
  switch (on) {
    case 'principal':
      return texts(condition).flatMap((text) => [...peer(text), ...endUser(text)]);
    case 'namespace':
      return texts(condition).flatMap((text) => peer(`td.test/ns/${text}/sa/x`));
    case 'trustDomain':
      return texts(condition).flatMap((text) => peer(`${text}/ns/x/sa/x`));
    case 'serviceAccount':
      return [...condition.values, ...condition.notValues].flatMap(({ namespace, name }) =>
        peer(`td.test/ns/${namespace}/sa/${name}`),
      );
    case 'sourceIp':
      return addresses(condition).map((address) => ({ address }));
    case 'remoteIp':
      return addresses(condition).map((originalAddress) => ({ originalAddress }));
    case 'destinationIp':
      return addresses(condition).map((destinationAddress) => ({ destinationAddress }));
    case 'port':
      return [...condition.values, ...condition.notValues].map((port) => ({ port }));
    case 'serverName':
      return texts(condition).map((serverName) => ({ serverName }));
    case 'host':
      return texts(condition).map((host) => ({ host }));
    case 'method':
      return texts(condition).map((method) => ({ method }));
    case 'path':
      return [...condition.values, ...condition.notValues].flatMap((match) =>
        match.match === 'template'
          ? [{ path: '/x/y' }]
          : samples(match).map((path) => ({ path: path.startsWith('/') ? path : `/${path}` })),
      );
    // No policy that is migrated has one.
    case 'computed':
      return [];
    case 'header':
      return texts(condition).map((text) => ({ headers: { [condition.name]: text } }));
    case 'requestPrincipal':
      return [...condition.values, ...condition.notValues].flatMap(({ issuer, subject }) =>
        samples(issuer).flatMap((iss) =>
          samples(subject).map((sub) => ({ claims: { ...anyToken.claims, iss, sub } })),
        ),
      );
    case 'claim':
      return texts(condition).map((text) => ({
        claims: { ...anyToken.claims, ...nested(condition.path, text) },
      }));
    case 'metadata':
      return [...condition.values, ...condition.notValues].flatMap(({ inList, text }) =>
        samples(text).map((value) => ({
          metadata: { [condition.filter]: { [condition.key]: inList ? [value] : value } },
        })),
      );
  }
}

function texts({ values, notValues }: Extract<Condition, { values: readonly TextMatch[] }>) {
  return [...values, ...notValues].flatMap(samples);
}

/** Texts that match, then some that nearly do. */
function samples(match: TextMatch): readonly string[] {
  switch (match.match) {
    case 'exact':
      return [match.value, `${match.value}x`];
    case 'prefix':
      return [`${match.value}x`, match.value, `x${match.value}`];
    case 'suffix':
      return [`x${match.value}`, match.value, `${match.value}x`];
    // What a regular expression of Mixer matches is not guessed.
    case 'pattern':
    case 'present':
      return ['x'];
  }
}

function addresses({
  values,
  notValues,
}: Extract<Condition, { on: 'sourceIp' | 'remoteIp' | 'destinationIp' }>) {
  return [...values, ...notValues].map(({ address }) => address);
}

/** The identity that a principal names; nothing for a text that is none. */
function peer(principal: string): readonly Change[] {
  const whole = principal.includes('/ns/') ? principal : `td.test/ns/x/sa/${principal}`;
  try {
    return [{ identity: parseSpiffeId(`spiffe://${whole}`) }];
  } catch {
    return [];
  }
}

/** The same as the identity of a token, for ports where principals are end users. */
function endUser(principal: string): readonly Change[] {
  const slash = principal.lastIndexOf('/');
  if (slash < 0) return [];
  return [{ claims: { iss: principal.slice(0, slash), sub: principal.slice(slash + 1) } }];
}

function nested(path: readonly string[], text: string): Readonly<Record<string, unknown>> {
  const [first = '', ...rest] = path;
  return { [first]: rest.length === 0 ? text : nested(rest, text) };
}
