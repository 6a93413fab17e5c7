import { violates } from '#api/field-error.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { mixerKind } from '#api/kinds/mixer-kind.ts';
import type { ApiObject } from '#api/object.ts';
import { choice, map, object, text, type ValueOf } from '#api/schema.ts';
import { attributeNamed } from '#mixer/attributes.ts';

const attribute = object('An attribute.', {
  valueType: choice('Its type.', [
    'VALUE_TYPE_UNSPECIFIED',
    'STRING',
    'INT64',
    'DOUBLE',
    'BOOL',
    'TIMESTAMP',
    'IP_ADDRESS',
    'EMAIL_ADDRESS',
    'URI',
    'DNS_NAME',
    'DURATION',
    'STRING_MAP',
  ]),
  description: text('What it is.'),
});

const spec = object('Attributes that something produces.', {
  revision: text('The revision of this list.'),
  name: text('What produces them.'),
  attributes: map('Attributes by their names.', attribute),
});

/** `attributemanifest` of config.istio.io/v1alpha2. */
export interface AttributeManifest extends ApiObject {
  readonly spec?: ValueOf<typeof spec>;
  readonly status?: IstioStatus;
}

/** attributemanifest: attributes that expressions may name beside the known ones. */
export const attributeManifest = defineIstioKind<AttributeManifest>({
  ...mixerKind,
  kind: 'attributemanifest',
  plural: 'attributemanifests',
  description: 'Attributes that expressions may name beside the known ones (Mixer).',
  spec,
  check({ spec: given = {} }, report) {
    for (const [name, { valueType = 'VALUE_TYPE_UNSPECIFIED' }] of Object.entries(
      given.attributes ?? {},
    )) {
      const field = `spec.attributes[${name}]`;
      if (valueType === 'VALUE_TYPE_UNSPECIFIED')
        report(violates(`${field}.valueType`, 'an attribute has a type'));
      const known = attributeNamed(name)?.type;
      if (known !== undefined && known !== valueType)
        report(violates(`${field}.valueType`, `${name} is of type ${known}`));
    }
  },
});
