import { ageColumn, fieldColumn } from '#api/columns.ts';
import { invalid } from '#api/field-error.ts';
import { defineKind, GATEWAY_API } from '#api/kind.ts';
import { gatewayApiConditions } from '#api/kinds/gateway-api.ts';
import type { ApiObject } from '#api/object.ts';
import { anyObject, object, text, type ValueOf } from '#api/schema.ts';

const spec = object(
  'Who serves gateways of the class.',
  {
    controllerName: text('Name of the controller; it can never be changed.', {
      minLength: 1,
      maxLength: 253,
    }),
    parametersRef: anyObject('Settings of the controller; not used.'),
    description: text('What the class is for.', { maxLength: 64 }),
  },
  { required: ['controllerName'] },
);

/** GatewayClass of the Gateway API. */
export interface GatewayClass extends ApiObject {
  readonly spec: ValueOf<typeof spec>;
}

/** GatewayClass. */
export const gatewayClass = defineKind<GatewayClass>({
  group: GATEWAY_API,
  versions: ['v1', 'v1beta1'],
  kind: 'GatewayClass',
  plural: 'gatewayclasses',
  shortNames: ['gc'],
  categories: ['gateway-api'],
  namespaced: false,
  statusSubresource: true,
  nameRule: 'subdomain',
  description: 'Gateways that one controller serves.',
  fields: {
    spec,
    status: object('State of the class.', { conditions: gatewayApiConditions }),
  },
  requiredFields: ['spec'],
  columns: [
    fieldColumn('Controller', '.spec.controllerName', 'Who serves its gateways.'),
    ageColumn,
  ],
  checkChange({ spec: before }, { spec: after }, report) {
    if (before.controllerName === after.controllerName) return;
    report(invalid('spec.controllerName', after.controllerName, 'Value is immutable'));
  },
});
