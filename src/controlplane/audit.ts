import { ADMIN_PATHS } from '#admin/contract.ts';
import type { ClientChange } from '#apiserver/resource-context.ts';
import { auditQueryOf, auditView } from '#audit/audit-query.ts';
import { type AuditSink, AuditTrail } from '#audit/audit-trail.ts';
import { CallIntake, type CallIntakeDeps } from '#audit/call-intake.ts';
import { recordOfChange } from '#audit/object-change.ts';
import { OtlpSink } from '#audit/otlp-sink.ts';
import { StreamSink } from '#audit/stream-sink.ts';
import { TrafficCounts } from '#audit/traffic-counts.ts';
import { trafficView } from '#audit/traffic-view.ts';
import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';

export interface AuditOptions {
  readonly settings: Settings;
  /** Where records are kept when no setting says otherwise. */
  readonly directory: string;
}

export interface AuditDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** For the sink `stdout`. */
  readonly stdout: NodeJS.WritableStream;
}

/** Records of who was denied what and of who changed what: taken, kept, and asked for. */
export class Audit implements Component {
  readonly name = 'audit';
  readonly #trail: AuditTrail;
  readonly #traffic: TrafficCounts;
  readonly #options: AuditOptions;
  readonly #deps: AuditDeps;

  /** @throws BulwarkError SETTINGS_INVALID */
  constructor(options: AuditOptions, deps: AuditDeps) {
    const { auditSinks, auditDirectory, auditFileBytes, auditFiles, auditTraffic } =
      options.settings;
    this.#options = options;
    this.#deps = deps;
    this.#trail = new AuditTrail(
      {
        directory: auditSinks.includes('file') ? (auditDirectory ?? options.directory) : undefined,
        fileBytes: auditFileBytes,
        files: auditFiles,
        sinks: sinksOf(options.settings, deps.stdout),
      },
      deps,
    );
    const keep = (line: string): void => this.#trail.keep('traffic', line);
    this.#traffic = new TrafficCounts(auditTraffic, { clock: deps.clock, keep });
  }

  async start(): Promise<void> {
    await this.#trail.start();
    await this.#traffic.start();
  }

  async close(): Promise<void> {
    await this.#traffic.close();
    await this.#trail.close();
  }

  /** What takes the calls that proxies tell of. */
  intake({ authenticate }: Pick<CallIntakeDeps, 'authenticate'>): CallIntake {
    const { clock, log } = this.#deps;
    return new CallIntake({
      clock,
      log: log.child({ component: this.name }),
      metrics: this.#trail.metrics,
      authenticate,
      onCall: (call) => this.#trail.record({ type: 'access', ...call }),
      onSample: (call) => this.#traffic.take(call),
      onLeftOut: ({ workload, count, isSample }) =>
        isSample ? this.#traffic.takeUnknown(count) : this.#missing(workload.identity, count),
    });
  }

  /** Records a change that a client of the API made. */
  changed(change: ClientChange): void {
    this.#trail.record(recordOfChange(change, this.#deps.clock.now()));
  }

  /** What administrators may ask, by path. */
  views() {
    const { auditFiles: files, auditTraffic: percent } = this.#options.settings;
    const trail = this.#trail;
    const traffic = { trail, traffic: this.#traffic, percent, files };
    return {
      [ADMIN_PATHS.audit]: (query: URLSearchParams) =>
        auditView(auditQueryOf(query), { trail, files }),
      [ADMIN_PATHS.traffic]: (query: URLSearchParams) =>
        trafficView(Number(query.get('since') ?? 0) || 0, traffic),
    };
  }

  #missing(identity: string, missing: number): void {
    const at = new Date(this.#deps.clock.now()).toISOString();
    const why = `more calls to ${identity} in one second than are recorded`;
    this.#trail.record({ type: 'gap', at, missing, why });
    this.#deps.log.warn('more calls were told than are recorded', { identity, missing });
  }
}

function sinksOf(settings: Settings, stdout: NodeJS.WritableStream): readonly AuditSink[] {
  const { auditSinks, auditOtlpEndpoint } = settings;
  return [
    ...(auditSinks.includes('stdout') ? [new StreamSink('stdout', stdout)] : []),
    ...(auditSinks.includes('otlp') ? [new OtlpSink(endpointOf(auditOtlpEndpoint))] : []),
  ];
}

/** @throws BulwarkError SETTINGS_INVALID */
function endpointOf(text: string | undefined): URL {
  const url = URL.canParse(text ?? '') ? new URL(text ?? '') : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new BulwarkError('SETTINGS_INVALID', 'the sink otlp needs the URL of a collector', {
    remedy: 'set auditOtlpEndpoint, for example to http://127.0.0.1:4318/v1/logs',
  });
}
