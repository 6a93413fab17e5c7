import { ageColumn } from '#api/columns.ts';
import { invalid, tooLong } from '#api/field-error.ts';
import { defineKind } from '#api/kind.ts';
import {
  checkDataKeys,
  checkImmutableData,
  DATA_BYTES_MAX,
  decodedBytes,
  textBytes,
} from '#api/kinds/stored-data.ts';
import { MESH_CONFIG, readMeshConfig } from '#api/mesh-config.ts';
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
  check({ metadata, data = {}, binaryData = {} }, report) {
    checkDataKeys(data, 'data', report);
    checkDataKeys(binaryData, 'binaryData', report);
    for (const key of Object.keys(data)) {
      if (!Object.hasOwn(binaryData, key)) continue;
      report(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    }
    const bytes = textBytes(data) + decodedBytes(binaryData);
    if (bytes > DATA_BYTES_MAX) report(tooLong('', DATA_BYTES_MAX));
    const mesh = metadata.name === MESH_CONFIG.name ? data[MESH_CONFIG.key] : undefined;
    if (mesh === undefined) return;
    readMeshConfig(mesh, `data[${MESH_CONFIG.key}]`).diagnostics.forEach(report);
  },
  checkChange(before, after, report) {
    checkImmutableData(before, after, ['data', 'binaryData'], report);
  },
});
