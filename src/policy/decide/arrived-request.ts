import type { AuthzRequest } from '#policy/authz/request.ts';
import type { Call, Target } from '#policy/decide/call.ts';
import type { EnteredGateway } from '#policy/decide/enter-gateway.ts';
import type { ReceivedRequest } from '#policy/decide/received-request.ts';
import type { TokenResult } from '#policy/decide/token.ts';

/** Where a request comes from, as its server sees it. */
interface ArrivedFrom {
  /** Whom the certificate of the connection proves. */
  readonly peer: string | undefined;
  /** Of calls to a gateway. */
  readonly entered: EnteredGateway | undefined;
  /** Whether the address is one that a proxy tells, whose own is not known. */
  readonly isTold: boolean;
}

/** A call as policies are asked about it. */
export function requestOf(
  { from, to, http }: Call,
  { peer, entered, isTold }: ArrivedFrom,
  { claims }: TokenResult,
  { headers, originalAddress = isTold ? from.address : undefined }: ReceivedRequest,
): AuthzRequest {
  const { workload, workloadPort } = to;
  return {
    source: { identity: peer, address: isTold ? '' : from.address, originalAddress },
    destination: { address: workload.address, port: workloadPort },
    serverName: entered ? entered.serverName : peer && meshName(to),
    http: http && { ...http, headers, claims },
  };
}

/** As proxies of the mesh ask each other. */
function meshName({ service, port, subset = '' }: Target): string {
  return `outbound_.${port.port}_.${subset}_.${service.host}`;
}
