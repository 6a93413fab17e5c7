import type { ProxyNode } from '#xds/proxy-node.ts';
import type { Refusal, TypeProgress } from '#xds/serve/acceptance.ts';
import type { ProxyProgress } from '#xds/serve/proxy-status.ts';

/**
 * What of a proxy an object goes into: how calls to its workload are judged, which connections it
 * takes, or how it calls others.
 */
export type Demand = 'calls' | 'connections' | 'clients';

/** How far one proxy is with all that goes into one of these. */
export interface ProxyStand {
  /** The newest version of the mesh that is in force there; -1 = none yet. */
  readonly version: number;
  /** What it does not take. */
  readonly refused: readonly Refusal[];
  /** Why nothing can be made for it. */
  readonly failure: string | undefined;
}

const NOTHING: TypeProgress = { version: -1, refused: [], isWaiting: false };

/** How far a proxy is. Of one that takes no calls nothing is asked that is about them. */
export function standOf({ node, types, failure }: ProxyProgress, demand: Demand): ProxyStand {
  const { cds = NOTHING, lds = NOTHING, ecds = NOTHING } = types;
  if (demand === 'clients') return { version: cds.version, refused: cds.refused, failure };
  if (!takesCalls(node)) return { version: Number.MAX_SAFE_INTEGER, refused: [], failure };
  const listeners = lds.refused.filter(({ name }) => isForCalls(name, node));
  // A gateway without servers has no policies to ask for.
  const hasPolicies = types.ecds !== undefined || !node.gateway;
  if (demand === 'connections' || !hasPolicies) {
    return { version: lds.version, refused: listeners, failure };
  }
  const version = Math.min(lds.version, ecds.version);
  return { version, refused: [...ecds.refused, ...listeners], failure };
}

function takesCalls(node: ProxyNode): boolean {
  const { explicit, gateway } = node;
  return gateway !== undefined || explicit === undefined || explicit.inbound.length > 0;
}

/** Whether a listener takes the calls to the workload, and not those that it makes. */
function isForCalls(name: string, node: ProxyNode): boolean {
  return node.gateway !== undefined || /^(virtualInbound$|inbound_|gate\|)/.test(name);
}
