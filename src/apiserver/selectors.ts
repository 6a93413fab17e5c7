import type { ApiObject } from '#api/object.ts';
import { badRequest } from '#apiserver/status.ts';

/** Whether an object is meant. */
export type ObjectFilter = (object: ApiObject) => boolean;

/** The value of a label; undefined when the object does not have it. */
type LabelOf = (key: string) => string | undefined;
type LabelTest = (label: LabelOf) => boolean;

interface Token {
  readonly text: string;
  readonly isWord: boolean;
}

const SYMBOL = /\s*(==|!=|[=!<>(),])/y;
const WORD = /\s*([^\s=!<>(),]+)/y;
const END: Token = { text: '', isWord: false };

/** Cuts a selector into words and symbols. */
function tokensOf(selector: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < selector.length) {
    SYMBOL.lastIndex = at;
    const symbol = SYMBOL.exec(selector);
    WORD.lastIndex = at;
    const found = symbol ?? WORD.exec(selector);
    if (!found) break;
    tokens.push({ text: found[1] ?? '', isWord: !symbol });
    at = (symbol ? SYMBOL : WORD).lastIndex;
  }
  return tokens;
}

/**
 * A label selector (kubernetes.io, "Labels and Selectors"): `a=b,c!=d,e in (f,g),h notin
 * (i),j,!k,l>1,m<2`; undefined when it is empty, which means every object.
 * @throws ApiError 400 in Kubernetes' words
 */
export function parseLabelSelector(selector: string): ObjectFilter | undefined {
  const tokens = tokensOf(selector);
  if (tokens.length === 0) return undefined;
  const parser = new LabelParser(tokens);
  const tests = [parser.requirement()];
  while (parser.comma()) tests.push(parser.requirement());
  return ({ metadata: { labels = {} } }) => {
    // Only its own: every object also has what Object.prototype has.
    const label: LabelOf = (key) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
    return tests.every((test) => test(label));
  };
}

class LabelParser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** Steps over a comma; false at the end. */
  comma(): boolean {
    const token = this.#next();
    if (token === END) return false;
    if (token.text === ',' && !token.isWord) return true;
    throw badRequest(`found '${token.text}', expected: ',' or 'end of string'`);
  }

  requirement(): LabelTest {
    const first = this.#next();
    if (first.text === '!' && !first.isWord) {
      const key = this.#word('identifier');
      return (label) => label(key) === undefined;
    }
    if (!first.isWord) throw parseError(first.text, "'!', identifier");
    const key = first.text;
    const next = this.#peek();
    if (next === END || next.text === ',') return (label) => label(key) !== undefined;
    return this.#comparison(key, this.#next());
  }

  #comparison(key: string, operator: Token): LabelTest {
    switch (operator.text) {
      case '=':
      case '==':
        return equals(key, this.#value());
      case '!=': {
        const test = equals(key, this.#value());
        return (label) => !test(label);
      }
      case 'in':
      case 'notin': {
        const values = new Set(this.#list());
        const wanted = operator.text === 'in';
        return (label) => {
          const value = label(key);
          return (value !== undefined && values.has(value)) === wanted;
        };
      }
      case '<':
      case '>':
        return comparesTo(key, operator.text, this.#value());
      default:
        throw parseError(operator.text, 'in, notin, =, ==, !=, gt, lt');
    }
  }

  /** The word after an operator; none means the empty value. */
  #value(): string {
    const next = this.#peek();
    return next === END || next.text === ',' ? '' : this.#word('identifier');
  }

  #list(): string[] {
    const open = this.#next();
    if (open.text !== '(') throw parseError(open.text, "'('");
    const values: string[] = [];
    for (;;) {
      values.push(this.#peek().isWord ? this.#next().text : '');
      const after = this.#next();
      if (after.text === ')') return values;
      if (after.text !== ',') throw parseError(after.text, "',' or ')'", ', ');
    }
  }

  #word(expected: string): string {
    const token = this.#next();
    if (!token.isWord) throw parseError(token.text, expected);
    return token.text;
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? END;
  }

  #next(): Token {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }
}

function parseError(found: string, expected: string, between = ' ') {
  return badRequest(`unable to parse requirement: found '${found}'${between}expected: ${expected}`);
}

function equals(key: string, value: string): LabelTest {
  return (label) => label(key) === value;
}

function comparesTo(key: string, operator: '<' | '>', text: string): LabelTest {
  const bound = Number(text);
  if (!/^-?\d+$/.test(text)) {
    const message = 'for "Gt", "Lt" operators, the value must be an integer';
    throw badRequest(
      `unable to parse requirement: values[0][${key}]: Invalid value: "${text}": ${message}`,
    );
  }
  return (label) => {
    const value = label(key);
    if (value === undefined || !/^-?\d+$/.test(value)) return false;
    return operator === '<' ? Number(value) < bound : Number(value) > bound;
  };
}

/** A parsed field selector. */
export interface FieldSelector {
  readonly matches: ObjectFilter;
  /** The one name that it asks for, if it does. */
  readonly name: string | undefined;
}

/** The value of a field that may be selected by; undefined when it may not. */
export type FieldValue = (object: ApiObject) => string;

const COMMON_FIELDS: Readonly<Record<string, FieldValue>> = {
  'metadata.name': ({ metadata }) => metadata.name,
  'metadata.namespace': ({ metadata }) => metadata.namespace ?? '',
};

/** Fields of single kinds that Kubernetes lets clients select by, by kind id. */
const KIND_FIELDS: Readonly<Record<string, Readonly<Record<string, FieldValue>>>> = {
  secrets: { type: (object) => text((object as { type?: unknown }).type) },
  namespaces: {
    name: ({ metadata }) => metadata.name,
    'status.phase': (object) => text((object as Specified).status?.phase),
  },
  pods: {
    'spec.nodeName': (object) => text((object as Specified).spec?.nodeName),
    'spec.serviceAccountName': (object) => text((object as Specified).spec?.serviceAccountName),
    'status.phase': (object) => text((object as Specified).status?.phase),
    'status.podIP': (object) => text((object as Specified).status?.podIP),
  },
  services: {
    'spec.clusterIP': (object) => text((object as Specified).spec?.clusterIP),
    'spec.type': (object) => text((object as Specified).spec?.type),
  },
};

interface Specified {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/**
 * A field selector: `metadata.name=x,metadata.namespace!=y`; undefined when it is empty.
 * @throws ApiError 400
 */
export function parseFieldSelector(kindId: string, selector: string): FieldSelector | undefined {
  const terms = selector.split(',').filter((term) => term !== '');
  if (terms.length === 0) return undefined;
  let name: string | undefined;
  const tests = terms.map((term): ObjectFilter => {
    const { field, operator, value } = fieldTerm(term);
    if (operator === undefined) {
      throw badRequest(`invalid selector: '${selector}'; can't understand '${term}'`);
    }
    const fields = { ...COMMON_FIELDS, ...KIND_FIELDS[kindId] };
    const read = Object.hasOwn(fields, field) ? fields[field] : undefined;
    if (!read) throw badRequest(`field label not supported: ${field}`);
    if (field === 'metadata.name' && operator !== '!=') name = value;
    return (object) => (read(object) === value) === (operator !== '!=');
  });
  return { matches: (object) => tests.every((test) => test(object)), name };
}

/** `metadata.name=x` in its parts; no operator when it is no such term. */
function fieldTerm(term: string) {
  const [, field = '', operator, value = ''] = /^([^=!\s]+)(==|!=|=)(.*)$/s.exec(term) ?? [];
  return { field, operator, value };
}

/** The one name that a field selector asks for, if it does; whether it is a good one or not. */
export function selectedName(selector: string): string | undefined {
  for (const term of selector.split(',')) {
    const { field, operator, value } = fieldTerm(term);
    if (field === 'metadata.name' && operator !== '!=' && value !== '') return value;
  }
  return undefined;
}
