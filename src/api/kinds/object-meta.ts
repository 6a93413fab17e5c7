import type { ObjectMeta } from '#api/object.ts';
import { anyObject, flag, integer, list, map, object, type Schema, text } from '#api/schema.ts';

const ownerReference = object(
  'An object that this one depends on: when all owners are gone, this object goes too.',
  {
    apiVersion: text('API version of the owner.'),
    kind: text('Kind of the owner.'),
    name: text('Name of the owner.'),
    uid: text('Uid of the owner.'),
    controller: flag('Whether the owner is the one that manages this object.'),
    blockOwnerDeletion: flag('Whether the owner stays until this object is gone.'),
  },
  { 'x-kubernetes-map-type': 'atomic' },
);

/** Kubernetes' ObjectMeta (meta/v1); the TypeScript type is the contract in `api/object`. */
export const objectMeta = object('Name, labels and what the server keeps about the object.', {
  name: text('Unique in the namespace (or among all objects of a cluster-scoped kind).'),
  generateName: text('Beginning of a name that the server completes when `name` is left out.'),
  namespace: text('The namespace that holds the object; absent on cluster-scoped kinds.'),
  labels: map('Words that selectors look for.', text('The value of the label.')),
  annotations: map('Text that tools and people attach.', text('The value of the annotation.')),
  uid: text('Set by the server; never used twice.'),
  resourceVersion: text('Set by the server at every write; a write that names an old one fails.'),
  generation: integer('Set by the server; grows when the wanted state changes.'),
  creationTimestamp: text('Set by the server at creation.', { format: 'date-time' }),
  deletionTimestamp: text('Set by the server when deletion begins.', { format: 'date-time' }),
  deletionGracePeriodSeconds: integer('Seconds between deletion and removal.'),
  selfLink: text('Not used any more.'),
  finalizers: list('Names of those who must agree before the object goes.', text('A name.'), {
    'x-kubernetes-list-type': 'set',
    'x-kubernetes-patch-strategy': 'merge',
  }),
  ownerReferences: list('The objects this one depends on.', ownerReference, {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['uid'],
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-patch-merge-key': 'uid',
  }),
  managedFields: list(
    'Who wrote which field last; kept by the server.',
    anyObject('The fields of one writer.'),
    { 'x-kubernetes-list-type': 'atomic' },
  ),
}) as Schema<ObjectMeta>;
