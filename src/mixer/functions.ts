import { isIP, SocketAddress } from 'node:net';
import type { Value, ValueType } from '#mixer/expression.ts';

/** A parameter or result: a type, or `T` for any one type that is the same wherever it stands. */
type Parameter = ValueType | 'T';

/** A function or an operator that wants all its arguments to be present. */
export interface PlainFunction {
  readonly parameters: readonly Parameter[];
  readonly result: Parameter;
  /** The types that `T` may be; any when left out. */
  readonly types?: readonly ValueType[];
  /** The result; undefined when an argument is not what it should be. */
  apply(...args: readonly Value[]): Value | undefined;
}

const ORDERED: readonly ValueType[] = ['INT64', 'DOUBLE', 'STRING', 'TIMESTAMP', 'DURATION'];
const SCALARS: readonly ValueType[] = [
  ...ORDERED,
  'BOOL',
  'IP_ADDRESS',
  'EMAIL_ADDRESS',
  'URI',
  'DNS_NAME',
];

const compare = (holds: (sign: number) => boolean): PlainFunction => ({
  parameters: ['T', 'T'],
  result: 'BOOL',
  types: ORDERED,
  apply: (a = '', b = '') => holds(a < b ? -1 : a > b ? 1 : 0),
});

const ofText = (result: ValueType, apply: (text: string) => Value | undefined): PlainFunction => ({
  parameters: ['STRING'],
  result,
  apply: (text) => apply(String(text)),
});

const ofTwoTexts = (apply: (a: string, b: string) => boolean | undefined): PlainFunction => ({
  parameters: ['STRING', 'STRING'],
  result: 'BOOL',
  apply: (a, b) => apply(String(a), String(b)),
});

const DNS_NAME =
  /^(?=.{1,253}\.?$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/;
const EMAIL = /^[^\s@<>]+@[^\s@<>]+$/;
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/**
 * Every function but those that have their own way with what is absent (`&&`, `||`, `|`,
 * `conditional`), those of maps (`[]`, `emptyStringMap`), and `matches`, whose expressions are for
 * Envoy alone: what reads them here could be made to read for hours.
 */
export const FUNCTIONS: ReadonlyMap<string, PlainFunction> = new Map(
  Object.entries({
    '==': { parameters: ['T', 'T'], result: 'BOOL', types: SCALARS, apply: (a, b) => a === b },
    '!=': { parameters: ['T', 'T'], result: 'BOOL', types: SCALARS, apply: (a, b) => a !== b },
    '<': compare((sign) => sign < 0),
    '<=': compare((sign) => sign <= 0),
    '>': compare((sign) => sign > 0),
    '>=': compare((sign) => sign >= 0),
    '!': { parameters: ['BOOL'], result: 'BOOL', apply: (a) => a !== true },
    '+': {
      parameters: ['T', 'T'],
      result: 'T',
      types: ['STRING', 'INT64', 'DOUBLE'],
      apply: (a, b) => (typeof a === 'number' && typeof b === 'number' ? a + b : `${a}${b}`),
    },
    match: ofTwoTexts((text, pattern) => globMatches(pattern, text)),
    startsWith: ofTwoTexts((text, prefix) => text.startsWith(prefix)),
    endsWith: ofTwoTexts((text, suffix) => text.endsWith(suffix)),
    toLower: ofText('STRING', (text) => text.toLowerCase()),
    size: ofText('INT64', (text) => Buffer.byteLength(text)),
    ip: ofText('IP_ADDRESS', canonicalAddress),
    timestamp: ofText('TIMESTAMP', (text) => {
      const timeMs = TIMESTAMP.test(text) ? Date.parse(text) : Number.NaN;
      return Number.isNaN(timeMs) ? undefined : timeMs;
    }),
    dnsName: ofText('DNS_NAME', (text) => {
      const name = text.toLowerCase();
      return DNS_NAME.test(name) ? name.replace(/\.$/, '') : undefined;
    }),
    uri: ofText('URI', (text) => (/^[^\s]+$/.test(text) ? text : undefined)),
    email: ofText('EMAIL_ADDRESS', (text) => (EMAIL.test(text) ? text : undefined)),
    as_string: {
      parameters: ['T'],
      result: 'STRING',
      types: SCALARS,
      apply: (value) => String(value),
    },
  } satisfies Readonly<Record<string, PlainFunction>>),
);

/** An address in one spelling; undefined for a text that is none. */
function canonicalAddress(text: string): string | undefined {
  const family = isIP(text);
  if (family === 0 || text.includes('%')) return undefined;
  const { address } = new SocketAddress({ address: text, family: family === 4 ? 'ipv4' : 'ipv6' });
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, '');
}

/** `*` at one end stands for anything; elsewhere it is a letter like others. */
function globMatches(pattern: string, text: string): boolean {
  if (pattern.endsWith('*')) return text.startsWith(pattern.slice(0, -1));
  if (pattern.startsWith('*')) return text.endsWith(pattern.slice(1));
  return text === pattern;
}
