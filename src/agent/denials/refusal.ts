/**
 * Something that an Envoy refused.
 * - `policy`: a request or connection that an AuthorizationPolicy denies.
 * - `connection`: a peer that was turned away before anything was asked: a certificate that does
 * not verify, or   plaintext where mutual TLS is compulsory.
 * - `server`: a server that the workload called and that could not prove to be the one it should
 * be.
 */
export interface Refusal {
  readonly kind: 'policy' | 'connection' | 'server';
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
  /**
   * The DENY policy that matched, as `ns[foo]-policy[bar]-rule[0]`; undefined when no ALLOW policy
   * did.
   */
  readonly policy: string | undefined;
  /** In Envoy's words. */
  readonly detail: string;
}

type Line = Readonly<Record<string, unknown>>;

const PLAINTEXT = 'plaintext where TLS is compulsory';
const DENIED = /rbac_access_denied_matched_policy\[(.*)\]$/;
const TEXT_LENGTH_MAX = 256;

/**
 * Texts of which one is in every line that `parseRefusal` does not ignore: a line without is not
 * worth parsing.
 */
const HINTS = [
  'rbac_access_denied',
  'downstream_transport_failure_reason',
  'upstream_transport_failure_reason',
  '"NR"',
];

/** What a line of an Envoy's access log (JSON) says was refused; undefined for all other lines. */
export function parseRefusal(text: string): Refusal | undefined {
  if (!HINTS.some((hint) => text.includes(hint))) return undefined;
  let line: Line;
  try {
    line = JSON.parse(text) as Line;
  } catch {
    return undefined; // not ours: something else wrote to Envoy's output
  }
  if (line.kind !== 'access') return undefined;
  const verdict = verdictOf(line);
  if (!verdict) return undefined;
  return {
    ...verdict,
    at: textOf(line, 'start_time') ?? '',
    direction: textOf(line, 'direction') ?? '',
    port: typeof line.port === 'number' ? line.port : undefined,
    peer: textOf(line, 'peer'),
    peerAddress: textOf(line, 'downstream_remote_address'),
    upstream: textOf(line, 'upstream_cluster'),
    method: textOf(line, 'method'),
    path: textOf(line, 'path')?.split('?')[0],
    authority: textOf(line, 'authority'),
  };
}

function verdictOf(line: Line): Pick<Refusal, 'kind' | 'policy' | 'detail'> | undefined {
  const details =
    textOf(line, 'response_code_details') ?? textOf(line, 'connection_termination_details');
  const denied = DENIED.exec(details ?? '');
  if (denied) {
    const policy = denied[1] === 'none' ? undefined : denied[1];
    return { kind: 'policy', policy, detail: details ?? '' };
  }
  const handshake = textOf(line, 'downstream_transport_failure_reason');
  if (handshake) {
    // BoringSSL's words for bytes that are no TLS but a request.
    const detail = /HTTP_REQUEST|WRONG_VERSION_NUMBER/.test(handshake) ? PLAINTEXT : handshake;
    return { kind: 'connection', policy: undefined, detail };
  }
  const upstream = textOf(line, 'upstream_transport_failure_reason');
  if (upstream) return { kind: 'server', policy: undefined, detail: upstream };
  // No filter chain fits the connection: on an inbound listener that is plaintext where mutual TLS
  // is asked for.
  const unmatched = textOf(line, 'response_flags') === 'NR' && line.method === undefined;
  if (unmatched && line.direction === 'inbound')
    return { kind: 'connection', policy: undefined, detail: PLAINTEXT };
  return undefined;
}

/** A field that came from the network: bounded, undefined when Envoy had nothing to say. */
function textOf(line: Line, field: string): string | undefined {
  const value = line[field];
  if (typeof value !== 'string' || value === '' || value === '-') return undefined;
  return value.length > TEXT_LENGTH_MAX ? `${value.slice(0, TEXT_LENGTH_MAX)}…` : value;
}
