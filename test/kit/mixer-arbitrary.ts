import fc from 'fast-check';
import type { Expression, Value } from '#mixer/expression.ts';
import { FUNCTIONS } from '#mixer/functions.ts';
import type { AuthzRequest } from '#policy/authz/request.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';

// Random expressions of Mixer over few attributes and words, requests that may meet them, and what
// each means, told in the plainest way: by looking.

const WORDS = ['a', 'b', 'ab', 'GET'] as const;
const word = fc.constantFrom(...WORDS);
const text = word.map((one) => JSON.stringify(one));

const ofRequest = fc.constantFrom(
  'request.headers["x"]',
  'request.headers["y"]',
  'request.method',
  'request.useragent',
  'source.namespace',
  'source.workload.namespace',
);
const ofWorkload = fc.constantFrom(
  'destination.namespace',
  'destination.labels["version"]',
  'destination.labels["none"]',
  'toLower(destination.name)',
);

/** Expressions of type BOOL. */
export const someExpression: fc.Arbitrary<string> = fc.letrec<{ bool: string; value: string }>(
  (tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      { weight: 4, arbitrary: ofRequest },
      { weight: 2, arbitrary: ofWorkload },
      { weight: 1, arbitrary: text },
      // What only the agent can tell, as Envoy does not know such functions of a request.
      ofRequest.map((a) => `toLower(${a})`),
      fc.tuple(tie('value'), tie('value')).map(([a, b]) => `(${a} + ${b})`),
      fc.tuple(tie('value'), tie('value')).map(([a, b]) => `(${a} | ${b})`),
      fc
        .tuple(tie('bool'), tie('value'), tie('value'))
        .map(([a, b, c]) => `conditional(${a}, ${b}, ${c})`),
    ),
    bool: fc.oneof(
      { maxDepth: 4 },
      fc
        .tuple(tie('value'), fc.constantFrom('==', '!='), text)
        .map(([a, sign, b]) => `${a} ${sign} ${b}`),
      fc
        .tuple(tie('value'), fc.constantFrom('==', '!='), tie('value'))
        .map(([a, sign, b]) => `${a} ${sign} ${b}`),
      ofRequest.map((a) => `size(${a}) > 1`),
      fc.tuple(tie('value'), word).map(([a, b]) => `match(${a}, "${b}*")`),
      fc.tuple(tie('value'), word).map(([a, b]) => `(${a}).endsWith("${b}")`),
      fc.constantFrom('connection.mtls', 'true', 'false', 'destination.port == 8080'),
      fc.tuple(tie('bool'), tie('bool')).map(([a, b]) => `(${a}) && (${b})`),
      fc.tuple(tie('bool'), tie('bool')).map(([a, b]) => `(${a}) || (${b})`),
      tie('bool').map((a) => `!(${a})`),
    ),
  }),
).bool;

/** Requests, and connections that are not HTTP, over plain text or mutual TLS. */
export const someRequest: fc.Arbitrary<AuthzRequest> = fc
  .record({
    caller: fc.option(word),
    method: fc.constantFrom('GET', 'PUT'),
    x: fc.option(word),
    y: fc.option(word),
    agent: fc.option(word),
    port: fc.constantFrom(8080, 9090),
    isHttp: fc.constantFrom(true, true, true, false),
  })
  .map(({ caller, method, x, y, agent, port, isHttp }) => ({
    source: {
      address: '127.0.0.1',
      ...(caller === null
        ? {}
        : { identity: parseSpiffeId(`spiffe://cluster.local/ns/${caller}/sa/any`) }),
    },
    destination: { address: '127.0.0.1', port },
    http: isHttp
      ? {
          method,
          target: '/',
          host: 'test',
          headers: {
            ...(x === null ? {} : { x }),
            ...(y === null ? {} : { y }),
            ...(agent === null ? {} : { 'user-agent': agent }),
          },
        }
      : undefined,
  }));

/** What the workload of the tests is: name `w`, label `version: b`. */
const WORKLOAD: Readonly<Record<string, Value>> = {
  'destination.namespace': 'foo',
  'destination.name': 'w',
  'destination.labels': new Map([
    ['app', 'shop'],
    ['version', 'b'],
  ]),
};

/** The attributes of a request to that workload. */
function attributesOf({ source, destination, http }: AuthzRequest): Map<string, Value> {
  const bag = new Map<string, Value>(Object.entries(WORKLOAD));
  const namespace = source.identity?.split('/')[4];
  if (namespace !== undefined) bag.set('source.namespace', namespace);
  if (namespace !== undefined) bag.set('source.workload.namespace', namespace);
  bag.set('connection.mtls', source.identity !== undefined);
  bag.set('destination.port', destination.port);
  if (http === undefined) return bag;
  const headers = new Map(Object.entries(http.headers ?? {}).map(([k, v]) => [k, String(v)]));
  bag.set('request.headers', headers);
  bag.set('request.method', http.method);
  const agent = headers.get('user-agent');
  if (agent !== undefined) bag.set('request.useragent', agent);
  return bag;
}

/** Whether an expression holds for a request. */
export function holdsByLooking(expression: Expression, request: AuthzRequest): boolean {
  return meaningOf(expression, attributesOf(request)) === true;
}

/** Undefined: something that it asks for is absent. */
function meaningOf(expression: Expression, bag: ReadonlyMap<string, Value>): Value | undefined {
  if (expression.kind === 'literal') return expression.value;
  if (expression.kind === 'attribute') return bag.get(expression.name);
  const [a, b, c] = expression.args.map((arg) => () => meaningOf(arg, bag));
  switch (expression.name) {
    case '|':
      return a?.() ?? b?.();
    case '&&': {
      const first = a?.();
      return first === true ? b?.() : first;
    }
    case '||': {
      const first = a?.();
      return first === false ? b?.() : first;
    }
    case 'conditional': {
      const first = a?.();
      return first === undefined ? undefined : first ? b?.() : c?.();
    }
    case '[]': {
      const map = a?.();
      return map instanceof Map ? map.get(b?.()) : undefined;
    }
    default: {
      const values = [a, b, c].filter((get) => get !== undefined).map((get) => get());
      const present = values.filter((value) => value !== undefined);
      if (present.length < values.length) return undefined;
      return FUNCTIONS.get(expression.name)?.apply(...present);
    }
  }
}
