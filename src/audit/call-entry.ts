import type { AccessRecord, DenialCause, RecordedWorkload } from '#admin/audit.ts';
import { parseRuleId } from '#agent/denials/policy-name.ts';
import type { Entry } from '#gen/bulwark/bulwark/audit/v1/calls_pb.js';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { AUDIT_TAGS, type AuditTag } from '#xds/audit-tags.ts';

/** Bytes of a text, whatever a proxy sends. */
const TEXT_BYTES_MAX = 1024;
/** Bytes that are no text become U+FFFD. */
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

const DENIED = /^rbac_access_denied_matched_policy\[(.*)\]$/s;
/** What a revoked peer is denied by, in the place of a policy. */
const REVOKED = /^bulwark-revoked\[(.*)\]$/s;
/** The same of certificates with an identity and another name. */
const SEVERAL_NAMES = 'bulwark-several-names';
/** Istio's name for a rule that a provider is asked about. */
const ASKED = /istio-ext-authz-\S*?-(ns\[\S*)/g;
/** Version, trace id, parent id, flags (W3C Trace Context). */
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

type Facts = Readonly<Partial<Record<AuditTag, string>>>;

/** What a proxy tells of one call, before it has its number. */
export type ToldCall = Omit<AccessRecord, 'type' | 'id'>;

/**
 * One entry of a stream as a record. Whose workload it is does not come from the entry.
 * @param receivedAt milliseconds since 1970, for an entry without a time of its own
 */
export function callOfEntry(
  entry: Entry,
  workload: RecordedWorkload,
  receivedAt: number,
): ToldCall {
  const facts = factsOf(entry);
  const verdict = verdictOf(facts);
  const audit = facts.audit === undefined ? undefined : parseRuleId(facts.audit);
  const { issuer, subject } = facts;
  return {
    at: instantOf(facts.started, receivedAt),
    decision: verdict.cause === undefined ? 'allowed' : 'denied',
    protocol: facts.method === undefined ? 'tcp' : 'http',
    workload,
    port: portOf(facts),
    caller: identityOf(facts.peer),
    callerAddress: facts.address,
    endUser: issuer === undefined || subject === undefined ? undefined : { issuer, subject },
    method: facts.method,
    host: facts.host,
    path: facts.path?.split('?', 1)[0],
    status: numberOf(facts.status, 999),
    ...verdict,
    auditedBy: audit?.policy,
    auditRule: audit?.rule,
    traceId: TRACEPARENT.exec(facts.traceparent ?? '')?.[1],
    requestId: facts.request_id,
  };
}

function factsOf({ commonProperties }: Entry): Facts {
  const told = commonProperties?.customTags ?? {};
  const facts: Partial<Record<AuditTag, string>> = {};
  for (const tag of AUDIT_TAGS) {
    const bytes = Object.hasOwn(told, tag) ? told[tag] : undefined;
    if (bytes === undefined) continue;
    const value = UTF8.decode(bytes.subarray(0, TEXT_BYTES_MAX));
    // Envoy writes `-` for nothing.
    if (value === '' || value === '-') continue;
    facts[tag] = bytes.length > TEXT_BYTES_MAX ? `${value}…` : value;
  }
  return facts;
}

interface Verdict {
  readonly cause?: DenialCause;
  readonly policy?: string | undefined;
  readonly rule?: number | undefined;
  readonly detail?: string | undefined;
}

function verdictOf(facts: Facts): Verdict {
  const detail = facts.details ?? facts.ended;
  const denied = DENIED.exec(detail ?? '')?.[1];
  if (denied !== undefined) {
    const revocation = REVOKED.exec(denied)?.[1];
    if (revocation !== undefined) return { cause: 'revoked', policy: revocation, detail };
    if (denied === SEVERAL_NAMES) return { cause: 'names', detail };
    if (denied === 'none') return { cause: 'no-allow', detail };
    return { cause: 'rule', ...parseRuleId(denied), detail };
  }
  if (facts.flags?.split(',').includes('UAEX')) {
    if (detail?.startsWith('jwt_authn_access_denied')) return { cause: 'token', detail };
    const asked = [...(facts.asked ?? '').matchAll(ASKED)].at(-1)?.[1];
    return { cause: 'provider', ...(asked !== undefined && parseRuleId(asked)), detail };
  }
  return facts.allow === undefined ? {} : parseRuleId(facts.allow);
}

/**
 * Chains are named `8080-mesh-http`; that of all other ports is not told by its name, nor are those
 * of a gateway, `7-edge/front/http`: it is asked at the port that policies mean.
 */
function portOf({ chain, destination }: Facts): number | undefined {
  return numberOf(/^(\d+)-[a-z-]+$/.exec(chain ?? '')?.[1] ?? destination, 65_535);
}

function numberOf(text: string | undefined, max: number): number | undefined {
  const number = Number(text);
  return Number.isInteger(number) && number > 0 && number <= max ? number : undefined;
}

/** Envoy verified it; what is no SPIFFE id is none. */
function identityOf(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : parseSpiffeId(text);
  } catch {
    return undefined; // a certificate may carry other URIs
  }
}

function instantOf(text: string | undefined, receivedAt: number): string {
  const at = Date.parse(text ?? '');
  return new Date(Number.isNaN(at) ? receivedAt : at).toISOString();
}
