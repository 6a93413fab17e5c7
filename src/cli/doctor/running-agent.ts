import type { WorkloadStatus } from '#agent/status.ts';
import type { Clock } from '#base/clock.ts';
import { formatDurationMs } from '#base/duration.ts';
import { pathExists } from '#base/files.ts';
import { askAgent, statusSocket } from '#cli/agent-status.ts';
import type { Finding } from '#cli/doctor/finding.ts';

/** What is left of a certificate's life when renewal should have worked long before. */
const LATE_PART = 0.25;

/**
 * Asks the agent of a run directory how it is.
 * @returns whether one runs, and what it says; a single finding when none does
 */
export async function examineRunningAgent(
  runDirectory: string | undefined,
  clock: Clock,
): Promise<{ readonly runs: boolean; readonly findings: readonly Finding[] }> {
  const none = (message: string, remedy?: string) => ({
    runs: false,
    findings: [{ check: 'agent', state: 'skipped' as const, message, remedy }],
  });
  if (runDirectory === undefined)
    return none('no run directory was named', 'give --run-directory to look at a running agent');
  const socket = statusSocket(runDirectory);
  if (!(await pathExists(socket))) return none(`no agent runs in ${runDirectory}`);
  const status = await askAgent(runDirectory);
  if (!status) return none(`${socket} does not answer`, 'an agent was killed; start it again');
  const { pid, workloads } = status;
  const about = { check: 'agent', state: 'ok' as const, message: `runs as process ${pid}` };
  const findings = workloads.flatMap((workload) => examineWorkload(workload, clock.now()));
  return { runs: true, findings: [about, ...findings] };
}

function examineWorkload(workload: WorkloadStatus, now: number): readonly Finding[] {
  const key = `${workload.name}.${workload.namespace}`;
  return [examineReadiness(workload, key), examineCertificate(workload, key, now)];
}

function examineReadiness({ ready, unready, envoy }: WorkloadStatus, key: string): Finding {
  const check = `workload ${key}`;
  const does = envoy ? `Envoy runs as process ${envoy.pid}` : 'it has no Envoy from us';
  if (ready) return { check, state: 'ok', message: `ready; ${does}` };
  const message = `not ready: ${unready?.reason ?? 'unknown'}: ${unready?.message ?? ''}`;
  const remedy = 'the log of the agent says more; the other findings may be the cause';
  return { check, state: 'failed', message, remedy };
}

function examineCertificate(
  { certificate, failures, lastError }: WorkloadStatus,
  key: string,
  now: number,
): Finding {
  const check = `certificate ${key}`;
  const why = lastError === undefined ? '' : `; ${failures} attempts failed: ${lastError}`;
  const remedy = 'server and token must be well, see their checks; the agent goes on trying';
  if (!certificate) return { check, state: 'failed', message: `there is none yet${why}`, remedy };
  const { serial, notBefore, notAfter } = certificate;
  const leftMs = Date.parse(notAfter) - now;
  if (leftMs <= 0) return { check, state: 'failed', message: `expired ${notAfter}${why}`, remedy };
  const message = `${serial}, good for ${formatDurationMs(leftMs)}${why}`;
  const isLate = leftMs < (Date.parse(notAfter) - Date.parse(notBefore)) * LATE_PART;
  if (failures === 0 && !isLate) return { check, state: 'ok', message };
  return { check, state: 'warning', message, remedy };
}
