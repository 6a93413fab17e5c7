/** One request and what becomes of it. */
export interface BehaviourRow {
  readonly release: 'HEAD' | '1.5.10';
  readonly name: string;
  /** Files of policies, below the folder of the release's templates. */
  readonly templates: readonly string[];
  /** Each of them calls. */
  readonly from: readonly string[];
  readonly to: string;
  /** Each of them is called. */
  readonly ports: readonly string[];
  readonly path: string;
  readonly host: string | undefined;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Name of a token; '' = none. */
  readonly token: string;
  /** As the table has it; undefined where it is a name of the test's source. */
  readonly expect: Expectation | undefined;
}

/** A line of a table: a row, or what of it is not understood. */
export type BehaviourLine =
  | { readonly name: string; readonly row: BehaviourRow }
  | { readonly name: string; readonly problem: string };

/** `allow`, `deny`, or a status; with plaintext something else, where the row says so. */
export interface Expectation {
  readonly withMtls: string;
  readonly plaintext: string | undefined;
}

/** Ports of requests that say none. */
const HTTP_PORTS = ['http', 'http2'];
/** What a row of the newer table may say of its request. */
const REQUEST_FIELDS = ['ports', 'path', 'method', 'host', 'headers', 'jwt'];

interface Request {
  readonly ports?: string;
  readonly path?: string;
  readonly method?: string;
  readonly host?: string;
  readonly headers?: string | Readonly<Record<string, string>>;
  readonly jwt?: string;
}

/** The rows of the table of release 1.5.10; its first line names the columns. */
export function oldRows(table: string): BehaviourLine[] {
  return linesOf(table, ([name, templates, from, to, port, target, token, headers, expect]) => {
    const isPath = target === undefined || target === '' || target.startsWith('/');
    return {
      release: '1.5.10',
      name: `${name} ${from}→${to}:${port}${target ? ` ${target}` : ''}${token ? ` ${token}` : ''}`,
      templates: filesOf(templates),
      from: [from ?? ''],
      to: to ?? '',
      ports: [port ?? ''],
      path: isPath ? target || '/' : '/',
      host: isPath ? undefined : target,
      method: 'GET',
      headers: headersOf(headers),
      token: tokenName(token),
      expect: expectationOf(expect ?? ''),
    };
  });
}

/**
 * The rows of the newer table. A literal holds for whoever calls; of the two callers one is named
 * in the policies.
 */
export function newRows(table: string): BehaviourLine[] {
  return linesOf(table, ([_file, name, templates, fields, allow]) => {
    const request = JSON.parse(fields ?? '{}') as Request;
    const unknown = Object.keys(request).find((field) => !REQUEST_FIELDS.includes(field));
    if (unknown !== undefined) throw new Error(`not built: requests with ${unknown}`);
    const ports = request.ports?.match(/\w+/g)?.map((port) => port.toLowerCase()) ?? HTTP_PORTS;
    const literal = { True: 'allow', False: 'deny' }[allow ?? ''];
    return {
      release: 'HEAD',
      name: `${name} ${ports.join('+')} ${request.path ?? ''}`.trim(),
      templates: filesOf(templates),
      from: ['a', 'b'],
      to: 'c',
      ports,
      path: request.path ?? '/',
      host: request.host,
      method: request.method ?? 'GET',
      headers: headersOf(request.headers),
      token: tokenName(request.jwt),
      expect: literal === undefined ? undefined : { withMtls: literal, plaintext: undefined },
    };
  });
}

function linesOf(table: string, read: (cells: readonly string[]) => BehaviourRow): BehaviourLine[] {
  const [, ...lines] = table.trimEnd().split('\n');
  return lines.map((line) => {
    try {
      const row = read(line.split('\t'));
      return { name: `${row.release} ${row.name}`, row };
    } catch (error) {
      return { name: line.replaceAll('\t', ' '), problem: String(error) };
    }
  });
}

/** `TokenIssuer1`, or `jwt.TokenIssuer1` as the source names it. */
function tokenName(text = ''): string {
  return text.replace(/^jwt\./, '');
}

function filesOf(text: string | undefined): readonly string[] {
  return (text ?? '').split(',').filter((file) => file !== '');
}

/** An object, as JSON too, or `name: value` with commas between. */
function headersOf(
  text: string | Readonly<Record<string, string>> = '',
): Readonly<Record<string, string>> {
  if (typeof text !== 'string') return text;
  if (text === '') return {};
  if (text.includes('(')) throw new Error(`not built: headers by a function: ${text}`);
  if (text.startsWith('{')) return JSON.parse(text) as Record<string, string>;
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const [name = '', ...value] = pair.split(/[:=]/);
      return [name.trim(), value.join(':').trim()];
    }),
  );
}

function expectationOf(text: string): Expectation | undefined {
  const [, withMtls, otherwise] = /^(allow|deny) if mTLS else (allow|deny)$/.exec(text) ?? [];
  if (withMtls !== undefined) return { withMtls, plaintext: otherwise };
  const isLiteral = /^(allow|deny|\d{3})$/.test(text);
  return isLiteral ? { withMtls: text, plaintext: undefined } : undefined;
}
