import {
  credentialResource,
  gatewayCredential,
  parseCredentialResource,
} from '#policy/tls/credential-name.ts';
import { parseGatewayRouteName } from '#xds/gateway-route-name.ts';
import { jsonDifference } from '../../json-difference.ts';
import type { PrimitiveCheck } from './row.ts';

const routeName: PrimitiveCheck = ({ fields }) => {
  const { args, wantPortNumber = 0, wantPortName = '', wantGateway = '' } = fields;
  const [name] = Object.values(args as object);
  const found = parseGatewayRouteName(String(name));
  return jsonDifference(
    { wantPortNumber, wantPortName, wantGateway },
    {
      wantPortNumber: found?.port ?? 0,
      wantPortName: found?.server?.name ?? '',
      wantGateway: found?.server?.gateway ?? '',
    },
  );
};

const parsedResource: PrimitiveCheck = ({ fields }) => {
  const { resource = '', defaultNamespace = '', expected, err = false } = fields;
  const found = parseCredentialResource(String(resource), String(defaultNamespace));
  if (err) return found === undefined ? undefined : `taken for ${JSON.stringify(found)}`;
  const { Name, Namespace } = (expected ?? {}) as Readonly<Record<string, unknown>>;
  return jsonDifference({ Name, Namespace }, { Name: found?.name, Namespace: found?.namespace });
};

const resourceName: PrimitiveCheck = ({ name, fields }) =>
  jsonDifference(fields.want, credentialResource(name));

const gatewayResource: PrimitiveCheck = ({ name, fields }) =>
  jsonDifference(fields.want, gatewayCredential(String(fields.namespace ?? ''), name));

/** What gateways are given, and by which names. */
export const GATEWAY_CHECKS: Readonly<Record<string, PrimitiveCheck>> = {
  TestParseGatewayRDSRouteName: routeName,
  TestParseResourceName: parsedResource,
  TestToResourceName: resourceName,
  TestToKubernetesGatewayResource: gatewayResource,
};
