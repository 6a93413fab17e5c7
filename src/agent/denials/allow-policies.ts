import type { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import type { Clock } from '#base/clock.ts';
import { LIMITS } from '#base/limits.ts';

/** How long an answer is good for: many requests may be denied in one second. */
const FRESH_MS = 1000;

type Json = Readonly<Record<string, unknown>>;

/** Asks an Envoy which ALLOW policies it enforces, and remembers the answer for a second. */
export class AllowPolicies {
  readonly #admin: Pick<EnvoyAdmin, 'get'>;
  readonly #clock: Clock;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #answer: Promise<readonly string[]> = Promise.resolve([]);

  constructor(deps: { readonly admin: Pick<EnvoyAdmin, 'get'>; readonly clock: Clock }) {
    this.#admin = deps.admin;
    this.#clock = deps.clock;
  }

  /** Names as `ns[foo]-policy[bar]-rule[0]`, sorted, bounded; none when Envoy does not answer. */
  names(): Promise<readonly string[]> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#askedAtMs >= FRESH_MS) {
      this.#askedAtMs = nowMs;
      this.#answer = this.#ask();
    }
    return this.#answer;
  }

  async #ask(): Promise<readonly string[]> {
    try {
      const { status, body } = await this.#admin.get('/config_dump?resource=ecds_filters');
      return status === 200 ? parseAllowPolicies(body) : [];
    } catch {
      return []; // Envoy is ending: the record goes without the list
    }
  }
}

/**
 * The names of the enforced ALLOW policies in a dump of Envoy's extension configurations
 * (envoy.admin.v3.EcdsConfigDump): RBAC filters, rules in a list or as a tree of matchers.
 */
function parseAllowPolicies(dump: string): readonly string[] {
  const names = new Set<string>();
  collect(JSON.parse(dump), names);
  return [...names].sort().slice(0, LIMITS.denialPoliciesMax);
}

function collect(value: unknown, names: Set<string>): void {
  if (Array.isArray(value)) {
    for (const entry of value) collect(entry, names);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  const object = value as Json;
  const type = typeof object['@type'] === 'string' ? object['@type'] : '';
  if (/\.filters\.(http|network)\.rbac\.v3\.RBAC$/.test(type)) {
    collectFromFilter(object, names);
    return;
  }
  for (const entry of Object.values(object)) collect(entry, names);
}

/** What lets callers on to the policies who are not revoked: no policy. */
const NOT_REVOKED = 'bulwark-not-revoked';

/** Leaves dry-run rules out: they deny nothing. */
function collectFromFilter(filter: Json, names: Set<string>): void {
  const rules = filter.rules as Json | undefined;
  if (rules && isAllow(rules.action)) {
    for (const name of Object.keys((rules.policies as Json | undefined) ?? {})) names.add(name);
  }
  collectActions(filter.matcher, names);
}

/** Leaves of a matcher tree are envoy.config.rbac.v3.Action {name, action}. */
function collectActions(value: unknown, names: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  const object = value as Json;
  const { '@type': type, action, name } = object;
  const isAllowing = /\.rbac\.v3\.Action$/.test(String(type ?? '')) && isAllow(action);
  if (isAllowing && typeof name === 'string' && name !== NOT_REVOKED) names.add(name);
  for (const entry of Object.values(object)) collectActions(entry, names);
}

/** ALLOW is the first of the enumeration, which protobuf's JSON leaves out. */
function isAllow(action: unknown): boolean {
  return action === undefined || action === 'ALLOW';
}
