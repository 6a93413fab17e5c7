import type { AllowPolicies } from '#agent/denials/allow-policies.ts';
import { NO_RULE } from '#agent/denials/policy-decisions.ts';
import { parseRuleId } from '#agent/denials/policy-name.ts';
import { parseRefusal, type Refusal } from '#agent/denials/refusal.ts';
import type { AgentMetrics } from '#agent/metrics.ts';
import type { Clock } from '#base/clock.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';

/** A refusal as it is logged and shown in the status. */
export interface RefusalRecord extends Refusal {
  /** One sentence for people. */
  readonly reason: string;
  /**
   * `namespace/name` of the policies that decided: the DENY or CUSTOM policy that matched, or all
   * ALLOW policies, none of which did.
   */
  readonly policies: readonly string[];
}

export interface RefusalLogDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: AgentMetrics;
  readonly policies: Pick<AllowPolicies, 'names'>;
}

const SECOND_MS = 1000;

const MESSAGES: Readonly<Record<Refusal['kind'], string>> = {
  policy: 'denied by policy',
  connection: 'connection refused',
  server: 'server refused',
};

/** What a revoked peer is denied by, in the place of a policy; 1 = the CertificateRevocation. */
const REVOKED = /^bulwark-revoked\[(.*)\]$/;
/** The same of certificates with an identity and another name. */
const SEVERAL_NAMES = 'bulwark-several-names';

/**
 * Turns lines of an Envoy's access log into records of what it refused: counted all, logged up to a
 * rate (a caller that is denied may call very often), the latest ones kept for the status.
 */
export class RefusalLog {
  readonly #deps: RefusalLogDeps;
  readonly #recent: RefusalRecord[] = [];
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #loggedInWindow = 0;
  #leftOut = 0;

  constructor(deps: RefusalLogDeps) {
    this.#deps = deps;
  }

  /** The latest ones, oldest first. */
  get recent(): readonly RefusalRecord[] {
    return this.#recent;
  }

  /** Takes one line; resolves when its record is written. */
  async take(line: string): Promise<void> {
    const refusal = parseRefusal(line);
    if (!refusal) return;
    this.#deps.metrics.refused.inc({ kind: refusal.kind });
    this.#countRule(refusal);
    if (!this.#mayLog()) return;
    const record = await this.#explain(refusal);
    this.#recent.push(record);
    if (this.#recent.length > LIMITS.recentDenialsMax) this.#recent.shift();
    this.#deps.log.info(MESSAGES[refusal.kind], { ...record });
  }

  /** Envoy itself counts requests that its rules deny, neither connections nor providers. */
  #countRule({ kind, policy, provider, method }: Refusal): void {
    const isCounted = method !== undefined && provider === undefined;
    if (kind !== 'policy' || isCounted) return;
    this.#deps.metrics.policies.count(policy ?? NO_RULE, 'denied');
  }

  async #explain(refusal: Refusal): Promise<RefusalRecord> {
    const { kind, policy, provider, detail } = refusal;
    if (kind === 'connection')
      return { ...refusal, policies: [], reason: `the connection was refused: ${detail}` };
    if (kind === 'server')
      return { ...refusal, policies: [], reason: `the server was refused: ${detail}` };
    const revocation = REVOKED.exec(policy ?? '')?.[1];
    if (revocation !== undefined) {
      const reason = `the peer is revoked (CertificateRevocation ${revocation})`;
      return { ...refusal, policies: [], reason };
    }
    if (policy === SEVERAL_NAMES) {
      const reason = 'the certificate has several names: an identity is exactly one';
      return { ...refusal, policies: [], reason };
    }
    if (policy !== undefined) {
      const { policy: name, rule } = parseRuleId(policy);
      const which = rule === undefined ? '' : ` (rule ${rule})`;
      const who = provider === undefined ? 'denied' : `denied by the provider ${provider}, asked`;
      return { ...refusal, policies: [name], reason: `${who} by policy ${name}${which}` };
    }
    const ids = await this.#deps.policies.names();
    const policies = [...new Set(ids.map((id) => parseRuleId(id).policy))];
    const inForce = policies.length > 0 ? policies.join(', ') : 'none';
    return { ...refusal, policies, reason: `no ALLOW policy matches; in force: ${inForce}` };
  }

  #mayLog(): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    if (nowMs - this.#windowStartMs >= SECOND_MS) {
      this.#windowStartMs = nowMs;
      this.#loggedInWindow = 0;
    }
    if (this.#loggedInWindow < LIMITS.denialLogsPerSecondMax) {
      this.#loggedInWindow += 1;
      return true;
    }
    if (this.#leftOut === 0) this.#deps.clock.after(SECOND_MS, () => this.#tellLeftOut());
    this.#leftOut += 1;
    return false;
  }

  #tellLeftOut(): void {
    this.#deps.log.warn('more was refused than is logged', { leftOut: this.#leftOut });
    this.#leftOut = 0;
  }
}
