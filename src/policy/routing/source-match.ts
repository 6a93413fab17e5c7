import { type Labels, labelsMatch } from '#model/selector.ts';

/** The gateway name that stands for every sidecar. */
export const MESH = 'mesh';

/** Conditions on who calls, of HTTP, TLS and TCP routes alike. */
export interface SourceMatch {
  readonly gateways?: readonly string[];
  readonly port?: number;
  readonly sourceNamespace?: string;
  readonly sourceLabels?: Labels;
}

/** Where a route is used. */
export interface RoutePlace {
  readonly client: { readonly namespace: string; readonly labels: Labels };
  readonly port: number;
  /** `mesh`, or the gateway that the client is. */
  readonly gateway: string;
}

/**
 * Whether a condition may hold for a client and port, as far as requests and connections do not
 * matter; what is left out always holds (Istio, "HTTPMatchRequest", "TLSMatchAttributes",
 * "L4MatchAttributes").
 */
export function canHold(match: SourceMatch, { client, port, gateway }: RoutePlace): boolean {
  const { gateways = [], sourceNamespace, sourceLabels } = match;
  if (gateways.length > 0 && !gateways.includes(gateway)) return false;
  if (match.port !== undefined && match.port !== 0 && match.port !== port) return false;
  if (sourceNamespace && sourceNamespace !== client.namespace) return false;
  return sourceLabels === undefined || labelsMatch(sourceLabels, client.labels);
}
