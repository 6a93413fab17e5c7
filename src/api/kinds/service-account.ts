import { ageColumn } from '#api/columns.ts';
import { defineKind } from '#api/kind.ts';
import type { ApiObject } from '#api/object.ts';
import { flag, list, object, text, type ValueOf } from '#api/schema.ts';

const secretReference = object(
  'A reference to an object.',
  {
    name: text('Name of the object.'),
    namespace: text('Namespace of the object.'),
    kind: text('Kind of the object.'),
    apiVersion: text('API version of the object.'),
    uid: text('Uid of the object.'),
    resourceVersion: text('Version of the object that is meant.'),
    fieldPath: text('Part of the object that is meant.'),
  },
  { 'x-kubernetes-map-type': 'atomic' },
);

const secrets = list('Secrets that pods of this account may use.', secretReference, {
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['name'],
  'x-kubernetes-patch-strategy': 'merge',
  'x-kubernetes-patch-merge-key': 'name',
});

const imagePullSecrets = list(
  'Secrets for pulling images.',
  object('A Secret of the namespace.', { name: text('Name of the Secret.') }),
  { 'x-kubernetes-list-type': 'atomic' },
);

/** Kubernetes' ServiceAccount (core v1): the identity that workloads run as. */
export interface ServiceAccount extends ApiObject {
  readonly secrets?: ValueOf<typeof secrets>;
  readonly imagePullSecrets?: ValueOf<typeof imagePullSecrets>;
  readonly automountServiceAccountToken?: boolean;
}

/** ServiceAccount. */
export const serviceAccount = defineKind<ServiceAccount>({
  group: '',
  versions: ['v1'],
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  shortNames: ['sa'],
  categories: [],
  namespaced: true,
  statusSubresource: false,
  nameRule: 'subdomain',
  description: 'The identity that workloads run as.',
  fields: {
    secrets,
    imagePullSecrets,
    automountServiceAccountToken: flag('Whether pods get a token file unless they say otherwise.'),
  },
  columns: [ageColumn],
});
