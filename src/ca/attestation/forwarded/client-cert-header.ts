/** The header in which a proxy that ends mutual TLS tells of the certificate of its caller. */
export const CLIENT_CERT_HEADER = 'x-forwarded-client-cert';

/** What one proxy says of the certificate of its caller: one element of the header. */
export interface ForwardedCertificate {
  /** URI names of the proxy itself. */
  readonly by: readonly string[];
  /** Of the certificate, SHA-256 in hex, as it is written; '' when it is not told. */
  readonly hash: string;
  /** '' when it has none, or when it is not told. */
  readonly subject: string;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
}

/** `Key=value`, or with quotation marks and escapes around what would end it, and what ends it. */
const PAIR = /([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;]*))(,|;|$)/y;

/** Of these an element has one. */
const SINGLE = ['hash', 'subject', 'cert', 'chain'];
/** Of these it may have several. */
const SEVERAL = ['by', 'uri', 'dns'];

/**
 * The elements of an `x-forwarded-client-cert` header, in their order (Envoy, "HTTP header
 * manipulation"): the last is of the proxy that sent the request. Undefined for what no proxy
 * writes.
 */
export function parseClientCertHeader(header: string): readonly ForwardedCertificate[] | undefined {
  const elements: ForwardedCertificate[] = [];
  let values = new Map<string, string[]>();
  const pair = new RegExp(PAIR);
  for (let ending = ','; ending !== ''; ) {
    const [text, name = '', quoted, plain = '', next = ''] = pair.exec(header) ?? [];
    if (text === undefined) return undefined;
    const key = name.toLowerCase();
    const found = values.get(key) ?? [];
    values.set(key, found);
    found.push(quoted?.replace(/\\(.)/g, '$1') ?? plain);
    if (SINGLE.includes(key) ? found.length > 1 : !SEVERAL.includes(key)) return undefined;
    ending = next;
    if (ending === ';') continue;
    elements.push(elementOf(values));
    values = new Map();
    if (ending === ',') skipSpace(pair, header);
  }
  return elements;
}

/** Where the header came in several lines, they were put together with a space. */
function skipSpace(pair: RegExp, header: string): void {
  while (header[pair.lastIndex] === ' ') pair.lastIndex += 1;
}

function elementOf(values: ReadonlyMap<string, readonly string[]>): ForwardedCertificate {
  const all = (key: string) => (values.get(key) ?? []).filter((value) => value !== '');
  const [hash = ''] = all('hash');
  const [subject = ''] = all('subject');
  return { by: all('by'), hash, subject, uris: all('uri'), dnsNames: all('dns') };
}
