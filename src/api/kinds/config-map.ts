import { ageColumn } from '#api/columns.ts';
import { defineKind } from '#api/kind.ts';
import type { ApiObject } from '#api/object.ts';
import { flag, map, text } from '#api/schema.ts';

/** Kubernetes' ConfigMap (core v1). */
export interface ConfigMap extends ApiObject {
  readonly data?: Readonly<Record<string, string>>;
  /** Values in base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

/** ConfigMap. */
export const configMap = defineKind<ConfigMap>({
  group: '',
  versions: ['v1'],
  kind: 'ConfigMap',
  plural: 'configmaps',
  shortNames: ['cm'],
  categories: [],
  namespaced: true,
  statusSubresource: false,
  nameRule: 'subdomain',
  description: 'Small pieces of configuration.',
  fields: {
    data: map('Text values.', text('A value.')),
    binaryData: map('Binary values.', text('A value, base64.', { format: 'byte' })),
    immutable: flag('Whether the data may never change again.'),
  },
  columns: [
    {
      name: 'Data',
      type: 'string',
      description: 'Number of values.',
      priority: 0,
      value: (object) =>
        Object.keys(object.data ?? {}).length + Object.keys(object.binaryData ?? {}).length,
    },
    ageColumn,
  ],
});
