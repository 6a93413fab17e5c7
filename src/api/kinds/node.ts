import { ageColumn } from '#api/columns.ts';
import { defineKind } from '#api/kind.ts';
import type { ApiObject } from '#api/object.ts';
import { anyObject } from '#api/schema.ts';

/** Kubernetes' Node (core v1): a machine. Only its name and uid are looked at. */
export interface Node extends ApiObject {
  readonly spec?: object;
  readonly status?: object;
}

/** Node. */
export const node = defineKind<Node>({
  group: '',
  versions: ['v1'],
  kind: 'Node',
  plural: 'nodes',
  shortNames: ['no'],
  categories: [],
  namespaced: false,
  statusSubresource: true,
  nameRule: 'subdomain',
  description: 'A machine that workloads run on; tokens of its agent are bound to it.',
  fields: {
    spec: anyObject('What is wanted of the machine; kept as it is.'),
    status: anyObject('State of the machine; kept as it is.'),
  },
  columns: [ageColumn],
});
