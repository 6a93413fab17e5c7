import { OUTSIDE, usage } from '#cli/calls/call-spelling.ts';

/** A call as a line of an access log tells it; undefined where the line says nothing. */
export interface LoggedCall {
  /** A SPIFFE id, or `outside`. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly ip: string | undefined;
  readonly method: string | undefined;
  /** Without query: logs leave it out. */
  readonly path: string | undefined;
  readonly host: string | undefined;
  /** Who refused the request, in words. */
  readonly said: string | undefined;
  /** A proxy writes down what it sends, or gets. */
  readonly isRouted: true;
  /** Where the gateway listens whose line it is; undefined for a line of another proxy. */
  readonly gatewayPort?: number | undefined;
}

const DENIED = /rbac_access_denied_matched_policy\[(none|[^\s"]*\])\]/;
/** The server name that proxies of a mesh ask each other for. */
const SERVER_NAME = /outbound_\.(\d+)_\.[^_]*_\.([-.\w]+)/;
/** The cluster of a service port, at the caller. */
const CLUSTER = /^outbound\|(\d+)\|[^|]*\|([-.\w]+)$/;
const ADDRESS = /^\[?([0-9a-fA-F.:]+?)\]?:\d+$/;

/**
 * Reads a line of a proxy's access log: the JSON of this mesh, Istio's JSON, or Istio's text. Text
 * says nothing of who called.
 * @throws BulwarkError CLI_USAGE when it is none of these
 */
export function callOfLogLine(line: string): LoggedCall {
  const text = line.trim();
  if (text.startsWith('{')) return ofFields(parseFields(text));
  const [, method, path] = /"([A-Z]+) (\S+) HTTP\/[0-9.]+"/.exec(text) ?? [];
  if (method === undefined) throw usage('this is no line of an access log of a proxy');
  const quoted = [...text.matchAll(/"([^"]*)"/g)].map(([, inner = '']) => inner);
  // Request, failure, X-Forwarded-For, user agent, request id, authority, upstream.
  const host = known(quoted.at(-2));
  return {
    from: undefined,
    to: targetOf(SERVER_NAME.exec(text), host),
    ip: undefined,
    method,
    path: path?.split('?', 1)[0],
    host,
    said: saidOf(text),
    isRouted: true,
  };
}

function ofFields(fields: Readonly<Record<string, unknown>>): LoggedCall {
  const textOf = (name: string): string | undefined => known(fields[name]);
  const host = textOf('authority');
  const method = textOf('method');
  // Lines about the workload's own calls do not say who it is.
  const isInbound = fields.kind === 'access' && fields.direction !== 'outbound';
  const cluster = textOf('upstream_cluster');
  // Proxies lead what comes in to the workload beside them; gateways lead it on.
  const isGateways = isInbound && cluster?.startsWith('outbound|') === true;
  const details = textOf('response_code_details') ?? textOf('connection_termination_details');
  return {
    from: isInbound ? (textOf('peer') ?? OUTSIDE) : undefined,
    to: targetOf(serverNameOf(textOf('requested_server_name'), cluster), host),
    ip: ADDRESS.exec(textOf('downstream_remote_address') ?? '')?.[1],
    method,
    path: textOf('path')?.split('?', 1)[0],
    host,
    said: saidOf(details ?? ''),
    isRouted: true,
    ...(isGateways && typeof fields.port === 'number' && { gatewayPort: fields.port }),
  };
}

/** The port and host that were called: of the connection, or of the cluster that it came to. */
function serverNameOf(asked: string | undefined, cluster: string | undefined) {
  return SERVER_NAME.exec(asked ?? '') ?? CLUSTER.exec(cluster ?? '');
}

/** Envoy writes `-` for nothing. */
function known(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value !== '-' ? value : undefined;
}

function targetOf(serverName: RegExpExecArray | null, host: string | undefined) {
  if (serverName) return `${serverName[2]}:${serverName[1]}`;
  return host;
}

function saidOf(text: string): string | undefined {
  const policy = DENIED.exec(text)?.[1];
  if (policy === undefined) return undefined;
  return policy === 'none' ? 'no ALLOW rule matched' : `the rule ${policy} denied it`;
}

function parseFields(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    throw usage('the line begins like JSON, and is none');
  }
}
