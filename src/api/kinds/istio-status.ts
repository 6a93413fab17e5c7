import {
  choice,
  integerOrText,
  list,
  object,
  type Schema,
  text,
  type ValueOf,
} from '#api/schema.ts';

const condition = object('One finding about the object, kept up to date.', {
  type: text('What the condition is about.'),
  status: text('`True`, `False` or `Unknown`.'),
  reason: text('Why, in one word.'),
  message: text('Why, in a sentence.'),
  lastProbeTime: text('When it was last looked at.', { format: 'date-time' }),
  lastTransitionTime: text('When `status` last changed.', { format: 'date-time' }),
  observedGeneration: integerOrText('The generation of the object that this is about.'),
});

const validationMessage = object('A message of the analyzers.', {
  type: object('Which message it is.', {
    code: text('`IST` and four digits.'),
    name: text('Its name.'),
  }),
  level: choice('How bad it is.', ['UNKNOWN', 'ERROR', 'WARNING', 'INFO']),
  documentationUrl: text('Where it is explained.'),
});

const knownStatus = object('What the mesh made of the object; written by the control plane.', {
  conditions: list('Findings, one of each type.', condition),
  validationMessages: list('Messages of the analyzers.', validationMessage),
  observedGeneration: integerOrText('The generation of the object that the status is about.'),
});

/** Istio's `meta/v1alpha1` IstioStatus. */
export interface IstioStatus extends ValueOf<typeof knownStatus> {}

/** Status of every kind of Istio; fields beyond the known ones are kept. */
export const istioStatus: Schema<IstioStatus> = {
  ...knownStatus,
  'x-kubernetes-preserve-unknown-fields': true,
};
