import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AuditRecord } from '#admin/audit.ts';
import type { AuditSink } from '#audit/audit-trail.ts';
import { LinesRefused } from '#audit/batch-writer.ts';

const BATCH_MAX = 512;
const ANSWER_MS_MAX = 10_000;
/** Statuses after which the protocol wants the same lines again (OTLP/HTTP, "Retryable"). */
const RETRYABLE = new Set([408, 429, 502, 503, 504]);
/** Severity numbers of the log data model of OpenTelemetry. */
const SEVERITY = { info: 9, warn: 13 } as const;
const NANO_OF_MICRO = '000';

/** Posts records to a collector: logs of OTLP over HTTP, in JSON (opentelemetry.io, OTLP). */
export class OtlpSink implements AuditSink {
  readonly name = 'otlp';
  readonly batchMax = BATCH_MAX;
  readonly isRetried = true;
  readonly #url: URL;

  constructor(url: URL) {
    this.#url = url;
  }

  /** @throws LinesRefused, or another error after which the lines are tried again */
  async write(lines: readonly string[]): Promise<void> {
    const records = lines.map((line) => JSON.parse(line) as AuditRecord);
    const body = JSON.stringify(otlpLogs(records));
    const status = await this.#post(body);
    if (status >= 200 && status < 300) return;
    const message = `the collector answers ${status}`;
    throw RETRYABLE.has(status) || status >= 500 ? new Error(message) : new LinesRefused(message);
  }

  #post(body: string): Promise<number> {
    const request = this.#url.protocol === 'https:' ? httpsRequest : httpRequest;
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    return new Promise((resolve, reject) => {
      const options = { method: 'POST', headers, signal: AbortSignal.timeout(ANSWER_MS_MAX) };
      const sent = request(this.#url, options, (response) => {
        // What it says beside the status is of no use here.
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
}

/** Records as a request of the log service (opentelemetry/proto/collector/logs/v1), in JSON. */
function otlpLogs(records: readonly AuditRecord[]): object {
  const service = { key: 'service.name', value: { stringValue: 'bulwark' } };
  return {
    resourceLogs: [
      {
        resource: { attributes: [service] },
        scopeLogs: [{ scope: { name: 'bulwark.audit' }, logRecords: records.map(logRecord) }],
      },
    ],
  };
}

function logRecord(record: AuditRecord): object {
  const isNotable =
    record.type === 'gap' || (record.type === 'access' && record.decision === 'denied');
  const traceId = record.type === 'access' ? record.traceId : undefined;
  return {
    timeUnixNano: `${Date.parse(record.at)}000000`,
    observedTimeUnixNano: `${record.id}${NANO_OF_MICRO}`,
    severityNumber: isNotable ? SEVERITY.warn : SEVERITY.info,
    severityText: isNotable ? 'WARN' : 'INFO',
    body: { stringValue: bodyOf(record) },
    attributes: Object.entries(record)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => ({ key: `bulwark.${key}`, value: anyValue(value) })),
    ...(traceId !== undefined && { traceId }),
  };
}

function bodyOf(record: AuditRecord): string {
  if (record.type === 'access')
    return `${record.decision}: ${record.caller ?? 'outside'} to ${record.workload.namespace}/${record.workload.name}`;
  if (record.type === 'change')
    return `${record.user}: ${record.verb} ${record.kind} ${record.namespace}/${record.name}`;
  return `${record.missing} records are missing: ${record.why}`;
}

function anyValue(value: unknown): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'number') return { intValue: String(value) };
  return { stringValue: JSON.stringify(value) };
}
