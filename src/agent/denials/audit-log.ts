import { parseAudit } from '#agent/denials/audit.ts';
import type { AgentMetrics } from '#agent/metrics.ts';
import type { Clock } from '#base/clock.ts';
import { LIMITS } from '#base/limits.ts';
import type { Logger } from '#base/log.ts';

export interface AuditLogDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: AgentMetrics;
}

const SECOND_MS = 1000;

/**
 * Writes one record for each request and connection that an AUDIT policy matched, up to a rate.
 * What is above is counted, and told: an audit with gaps says so.
 */
export class AuditLog {
  readonly #deps: AuditLogDeps;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #written = 0;
  #leftOut = 0;

  constructor(deps: AuditLogDeps) {
    this.#deps = deps;
  }

  /** Takes one line of the access log. */
  take(line: string): void {
    const record = parseAudit(line);
    if (!record) return;
    const { log, clock, metrics } = this.#deps;
    metrics.audited.inc({ decision: record.decision });
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#windowStartMs >= SECOND_MS) {
      this.#windowStartMs = nowMs;
      this.#written = 0;
    }
    if (this.#written < LIMITS.auditRecordsPerSecondMax) {
      this.#written += 1;
      log.info('audited by policy', { ...record });
      return;
    }
    metrics.auditLeftOut.inc();
    if (this.#leftOut === 0) clock.after(SECOND_MS, () => this.#tellLeftOut());
    this.#leftOut += 1;
  }

  #tellLeftOut(): void {
    this.#deps.log.warn('more was audited than is written', { leftOut: this.#leftOut });
    this.#leftOut = 0;
  }
}
