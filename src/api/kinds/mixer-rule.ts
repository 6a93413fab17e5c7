import { ageColumn, fieldColumn } from '#api/columns.ts';
import { required, warning } from '#api/field-error.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { checkExpression } from '#api/kinds/mixer-expression.ts';
import { mixerKind } from '#api/kinds/mixer-kind.ts';
import type { ApiObject } from '#api/object.ts';
import { anyObject, list, object, text, type ValueOf } from '#api/schema.ts';

const action = object('A handler that is asked, and about what.', {
  handler: text('A handler: `<name>`, `<name>.<kind>`, each also with `.<namespace>`.'),
  instances: list('What it is asked about.', text('An instance, named like a handler.')),
  name: text('The name of the action.'),
});

const headerOperations = (which: string) =>
  list(`What is done to headers of the ${which}; not supported.`, anyObject('An operation.'));

const spec = object('When handlers are asked.', {
  match: text('An expression of type BOOL; empty is always.'),
  actions: list('Who is asked; one denial denies.', action),
  requestHeaderOperations: headerOperations('request'),
  responseHeaderOperations: headerOperations('response'),
  sampling: anyObject('Not supported: access control has no samples.'),
});

/** `rule` of config.istio.io/v1alpha2. */
export interface MixerRule extends ApiObject {
  readonly spec?: ValueOf<typeof spec>;
  readonly status?: IstioStatus;
}

/** Fields that have no effect here. */
const WITHOUT_EFFECT = ['requestHeaderOperations', 'responseHeaderOperations', 'sampling'] as const;

/** rule: under which condition Mixer's handlers are asked. */
export const mixerRule = defineIstioKind<MixerRule>({
  ...mixerKind,
  kind: 'rule',
  plural: 'rules',
  description: 'Asks handlers, such as a denier, about requests that match (Mixer).',
  spec,
  columns: [fieldColumn('Match', '.spec.match', 'When it counts.'), ageColumn],
  check({ spec: given = {} }, report) {
    const { match = '', actions = [] } = given;
    if (match !== '') checkExpression(match, ['BOOL'], 'spec.match', report);
    if (actions.length === 0) report(required('spec.actions', 'at least one action'));
    for (const [index, { handler = '', instances = [] }] of actions.entries()) {
      const field = `spec.actions[${index}]`;
      if (handler === '') report(required(`${field}.handler`, 'the name of a handler'));
      if (instances.length === 0)
        report(required(`${field}.instances`, 'the name of an instance, such as a checknothing'));
    }
    for (const name of WITHOUT_EFFECT) {
      if (given[name] === undefined) continue;
      report(warning(`spec.${name}`, 'has no effect: of Mixer there is access control only'));
    }
  },
});
