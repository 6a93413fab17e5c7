import {
  type Call,
  callOf,
  type AccessLine as Line,
  parseAccessLine,
  textOf,
} from '#agent/denials/access-line.ts';

/**
 * Something that an Envoy refused.
 * - `policy`: a request or connection that an AuthorizationPolicy denies.
 * - `connection`: a peer that was turned away before anything was asked: a certificate that does
 * not verify, or   plaintext where mutual TLS is compulsory.
 * - `server`: a server that the workload called and that could not prove to be the one it should
 * be.
 */
export interface Refusal extends Call {
  readonly kind: 'policy' | 'connection' | 'server';
  /** Who was asked about it and said no, or could not be asked. */
  readonly provider: string | undefined;
  /**
   * The DENY or CUSTOM policy that matched, as `ns[foo]-policy[bar]-rule[0]`; undefined when no
   * ALLOW policy did.
   */
  readonly policy: string | undefined;
  /** In Envoy's words. */
  readonly detail: string;
}

const PLAINTEXT = 'plaintext where TLS is compulsory';
const DENIED = /rbac_access_denied_matched_policy\[(.*)\]$/;

/**
 * Texts of which one is in every line that `parseRefusal` does not ignore: a line without is not
 * worth parsing.
 */
const HINTS = [
  'rbac_access_denied',
  'UAEX',
  'downstream_transport_failure_reason',
  'upstream_transport_failure_reason',
  '"NR"',
];

/** What a line of an Envoy's access log (JSON) says was refused; undefined for all other lines. */
export function parseRefusal(text: string): Refusal | undefined {
  if (!HINTS.some((hint) => text.includes(hint))) return undefined;
  const line = parseAccessLine(text);
  const verdict = line && verdictOf(line);
  return verdict && { provider: undefined, ...verdict, ...callOf(line) };
}

function verdictOf(
  line: Line,
): (Pick<Refusal, 'kind' | 'policy' | 'detail'> & Partial<Refusal>) | undefined {
  const details =
    textOf(line, 'response_code_details') ?? textOf(line, 'connection_termination_details');
  const denied = DENIED.exec(details ?? '');
  if (denied) {
    const policy = denied[1] === 'none' ? undefined : denied[1];
    return { kind: 'policy', policy, detail: details ?? '' };
  }
  if (textOf(line, 'response_flags')?.split(',').includes('UAEX')) {
    const detail = details ?? 'no answer';
    return { kind: 'policy', detail, ...parseCheckedRule(checkedRuleOf(line)) };
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

/** Of the providers that were asked, the last one said no. */
function checkedRuleOf(line: Line): string {
  const fields = Object.keys(line).filter((field) => field.startsWith('custom_policy_'));
  const asked = fields.sort().flatMap((field) => textOf(line, field) ?? []);
  return asked.at(-1) ?? '';
}

/** Istio's name for a rule that a provider is asked about. */
const CHECKED = /^istio-ext-authz-(.*)-(ns\[.*)$/;

function parseCheckedRule(id: string): Pick<Refusal, 'policy' | 'provider'> {
  const [, provider, policy] = CHECKED.exec(id) ?? [];
  return { provider: provider ?? '', policy: policy ?? id };
}
