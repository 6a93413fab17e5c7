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

/** What gateways are given, and by which names. */
export const GATEWAY_CHECKS: Readonly<Record<string, PrimitiveCheck>> = {
  TestParseGatewayRDSRouteName: routeName,
};
