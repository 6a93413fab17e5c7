import { ageColumn, fieldColumn } from '#api/columns.ts';
import { unknownField } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { checkExpression } from '#api/kinds/mixer-expression.ts';
import { isOfAccessControl, mixerKind, refuseProcesses } from '#api/kinds/mixer-kind.ts';
import type { ApiObject } from '#api/object.ts';
import { anyObject, map, object, text, type ValueOf } from '#api/schema.ts';
import type { ValueType } from '#mixer/expression.ts';

const nothing = object('Says nothing: for handlers that look at nothing.', {});
const entry = object('A value that is looked for in a list.', {
  value: text('An expression of type STRING or IP_ADDRESS.'),
});
const instanceSpec = object('What a handler is asked about, by the name of its template.', {
  compiledTemplate: text('`checknothing` or `listentry`.'),
  params: anyObject('For a listentry `value`: an expression of type STRING or IP_ADDRESS.'),
  template: text('A template of an adapter that is a process of its own; not supported.'),
  attributeBindings: map('Attributes that the handler makes; not supported.', text('A value.')),
});

/** `listentry` of config.istio.io/v1alpha2. */
export interface ListEntry extends ApiObject {
  readonly spec?: ValueOf<typeof entry>;
  readonly status?: IstioStatus;
}
/** `checknothing` of config.istio.io/v1alpha2. */
export interface CheckNothing extends ApiObject {
  readonly spec?: ValueOf<typeof nothing>;
  readonly status?: IstioStatus;
}
/** `instance` of config.istio.io/v1alpha2. */
export interface MixerInstance extends ApiObject {
  readonly spec?: ValueOf<typeof instanceSpec>;
  readonly status?: IstioStatus;
}

/** The types that can be looked for in a list. */
export const LISTED_TYPES: readonly ValueType[] = ['STRING', 'IP_ADDRESS'];

const TEMPLATES = ['checknothing', 'listentry'];

function checkInstance({ spec = {} }: MixerInstance, report: Report): void {
  const { compiledTemplate = '', params = {}, template, attributeBindings } = spec;
  refuseProcesses({ template, attributeBindings }, report);
  if (template !== undefined && compiledTemplate === '') return;
  if (!isOfAccessControl('spec.compiledTemplate', compiledTemplate, TEMPLATES, report)) return;
  const isEntry = compiledTemplate === 'listentry';
  for (const name of Object.keys(params)) {
    if (!isEntry || name !== 'value') report(unknownField(`spec.params.${name}`, 'error'));
  }
  if (!isEntry) return;
  const { value } = params;
  checkExpression(textOf(value), LISTED_TYPES, 'spec.params.value', report);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The expression of an instance that is looked for in a list; undefined for any other. */
export function listedValue({ spec = {} }: MixerInstance): string | undefined {
  return spec.compiledTemplate === 'listentry' ? textOf(spec.params?.value) : undefined;
}

/** instance: what a handler is asked about, by the name of its template. */
export const mixerInstance = defineIstioKind<MixerInstance>({
  ...mixerKind,
  kind: 'instance',
  plural: 'instances',
  description: 'What a handler is asked about (Mixer).',
  spec: instanceSpec,
  columns: [fieldColumn('Template', '.spec.compiledTemplate', 'What it is.'), ageColumn],
  check: checkInstance,
});

/** checknothing: the older form of an instance. */
export const checkNothing = defineIstioKind<CheckNothing>({
  ...mixerKind,
  kind: 'checknothing',
  plural: 'checknothings',
  description: 'Asks a handler about nothing (Mixer, older form of an instance).',
  spec: nothing,
  check: () => {},
});

/** listentry: the older form of an instance. */
export const listEntry = defineIstioKind<ListEntry>({
  ...mixerKind,
  kind: 'listentry',
  plural: 'listentries',
  description: 'Asks a handler about a value (Mixer, older form of an instance).',
  spec: entry,
  check: ({ spec = {} }, report) => checkExpression(spec.value, LISTED_TYPES, 'spec.value', report),
});
