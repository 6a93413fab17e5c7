import { ageColumn } from '#api/columns.ts';
import { defineKind } from '#api/kind.ts';
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
});
