/** A request or connection, as a line of the access log has it. */
export interface Call {
  /** RFC 3339, by Envoy's clock. */
  readonly at: string;
  /** `inbound` = calls to the workload, `outbound` = its own calls. */
  readonly direction: string;
  /** The workload's port (inbound) or the service's (outbound). */
  readonly port: number | undefined;
  /** The SPIFFE id of the peer; undefined when it did not prove one. */
  readonly peer: string | undefined;
  readonly peerAddress: string | undefined;
  /** The cluster that was called (outbound). */
  readonly upstream: string | undefined;
  readonly method: string | undefined;
  /** Without its query string. */
  readonly path: string | undefined;
  readonly authority: string | undefined;
  /** The trace that the caller made the request in (W3C Trace Context). */
  readonly traceId: string | undefined;
  /** The value of X-Request-Id. */
  readonly requestId: string | undefined;
}

/** A line of an Envoy's access log, in JSON. */
export type AccessLine = Readonly<Record<string, unknown>>;

const TEXT_LENGTH_MAX = 256;

/** Version, trace id, parent id, flags (W3C Trace Context). */
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

/** A line; undefined when it is none of ours: something else wrote to Envoy's output. */
export function parseAccessLine(text: string): AccessLine | undefined {
  let line: AccessLine;
  try {
    line = JSON.parse(text) as AccessLine;
  } catch {
    return undefined;
  }
  return line.kind === 'access' ? line : undefined;
}

/** What a line is about. */
export function callOf(line: AccessLine): Call {
  return {
    at: textOf(line, 'start_time') ?? '',
    direction: textOf(line, 'direction') ?? '',
    port: typeof line.port === 'number' ? line.port : undefined,
    peer: textOf(line, 'peer'),
    peerAddress: textOf(line, 'downstream_remote_address'),
    upstream: textOf(line, 'upstream_cluster'),
    method: textOf(line, 'method'),
    path: textOf(line, 'path')?.split('?')[0],
    authority: textOf(line, 'authority'),
    traceId: TRACEPARENT.exec(textOf(line, 'traceparent') ?? '')?.[1],
    requestId: textOf(line, 'request_id'),
  };
}

/** A field that came from the network: bounded, undefined when Envoy had nothing to say. */
export function textOf(line: AccessLine, field: string): string | undefined {
  const value = line[field];
  if (typeof value !== 'string' || value === '' || value === '-') return undefined;
  return value.length > TEXT_LENGTH_MAX ? `${value.slice(0, TEXT_LENGTH_MAX)}…` : value;
}
