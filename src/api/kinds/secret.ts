import { ageColumn } from '#api/columns.ts';
import { invalid, required, tooLong, warning } from '#api/field-error.ts';
import { defineKind, type Report } from '#api/kind.ts';
import {
  checkDataKeys,
  checkImmutableData,
  DATA_BYTES_MAX,
  decodedBytes,
  textBytes,
} from '#api/kinds/stored-data.ts';
import type { ApiObject } from '#api/object.ts';
import { flag, map, text } from '#api/schema.ts';

/** Kubernetes' Secret (core v1). */
export interface Secret extends ApiObject {
  /** `Opaque` when left out; never changes. */
  readonly type?: string;
  /** Values in base64. */
  readonly data?: Readonly<Record<string, string>>;
  /** Values as text; a write moves them into `data`. */
  readonly stringData?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

const OPAQUE = 'Opaque';
/** Annotation of a token Secret: the account that the token is of. */
const SERVICE_ACCOUNT_NAME = 'kubernetes.io/service-account.name';

/** Keys that the data of a type must have: all of `all`, one of `any`. */
const TYPES: Readonly<
  Record<string, { readonly all?: readonly string[]; readonly any?: readonly string[] }>
> = {
  'kubernetes.io/tls': { all: ['tls.crt', 'tls.key'] },
  'kubernetes.io/basic-auth': { any: ['username', 'password'] },
  'kubernetes.io/ssh-auth': { all: ['ssh-privatekey'] },
  'kubernetes.io/dockercfg': { all: ['.dockercfg'] },
  'kubernetes.io/dockerconfigjson': { all: ['.dockerconfigjson'] },
};

function check(secret: Secret, report: Report): void {
  const { data = {}, stringData = {}, type = OPAQUE, metadata } = secret;
  checkDataKeys(data, 'data', report);
  checkDataKeys(stringData, 'stringData', report);
  if (decodedBytes(data) + textBytes(stringData) > DATA_BYTES_MAX) {
    report(tooLong('data', DATA_BYTES_MAX));
  }
  if (type === 'kubernetes.io/service-account-token') {
    if (metadata.annotations?.[SERVICE_ACCOUNT_NAME]) return;
    report(required(`metadata.annotations[${SERVICE_ACCOUNT_NAME}]`));
  }
  const has = (key: string): boolean => Object.hasOwn(data, key) || Object.hasOwn(stringData, key);
  const { all = [], any = [] } = Object.hasOwn(TYPES, type) ? (TYPES[type] ?? {}) : {};
  const missing = [...all.filter((key) => !has(key)), ...(any.some(has) ? [] : any)];
  for (const key of missing) report(required(`data[${key}]`));
  if (missing.length === 0) checkContent(type, (key) => contentOf(secret, key), report);
}

/** The text of a value, wherever it is written. */
function contentOf({ data = {}, stringData = {} }: Secret, key: string): string {
  const encoded = Object.hasOwn(data, key) ? (data[key] ?? '') : '';
  const text = Object.hasOwn(stringData, key) ? stringData[key] : undefined;
  return text ?? Buffer.from(encoded, 'base64').toString('utf8');
}

/** What is in there is never repeated. */
const REDACTED = '<secret contents redacted>';

function checkContent(type: string, content: (key: string) => string, report: Report): void {
  const key = type === 'kubernetes.io/dockercfg' ? '.dockercfg' : '.dockerconfigjson';
  if (type === 'kubernetes.io/dockercfg' || type === 'kubernetes.io/dockerconfigjson') {
    if (!isJson(content(key))) report(invalid(`data[${key}]`, REDACTED, 'it is no JSON'));
  }
  if (type === 'kubernetes.io/tls' && !content('tls.crt').includes('-----BEGIN ')) {
    report(warning('', 'tls: failed to find any PEM data in certificate input'));
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Secret. */
export const secret = defineKind<Secret>({
  group: '',
  versions: ['v1'],
  kind: 'Secret',
  plural: 'secrets',
  shortNames: [],
  categories: [],
  namespaced: true,
  statusSubresource: false,
  nameRule: 'subdomain',
  description: 'Small pieces of secret data: keys, certificates, passwords.',
  fields: {
    type: text('What the data is, such as `Opaque` or `kubernetes.io/tls`; never changes.'),
    data: map('The data.', text('A value, base64.', { format: 'byte' })),
    stringData: map('Data to add, as text; only written, never read.', text('A value.')),
    immutable: flag('Whether the data may never change again.'),
  },
  columns: [
    {
      name: 'Type',
      type: 'string',
      description: 'What the data is.',
      priority: 0,
      value: (object) => object.type ?? '',
    },
    {
      name: 'Data',
      type: 'string',
      description: 'Number of values.',
      priority: 0,
      value: (object) => Object.keys(object.data ?? {}).length,
    },
    ageColumn,
  ],
  check,
  checkChange(before, after, report) {
    if ((after.type ?? OPAQUE) !== (before.type ?? OPAQUE)) {
      report(invalid('type', after.type ?? OPAQUE, 'field is immutable'));
    }
    checkImmutableData(before, after, ['data'], report);
  },
  defaults(object) {
    const { stringData, ...stored } = object;
    if (stringData === undefined && object.type) return object;
    const added = Object.entries(stringData ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value).toString('base64'),
    ]);
    const data = { ...object.data, ...Object.fromEntries(added) };
    return {
      ...stored,
      type: object.type || OPAQUE,
      ...(object.data === undefined && stringData === undefined ? {} : { data }),
    };
  },
});
