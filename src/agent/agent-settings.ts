import { join, resolve } from 'node:path';
import { type WorkloadOptions, workloadKey } from '#agent/config/workload-options.ts';
import { BulwarkError } from '#base/errors.ts';
import { flagOf } from '#base/settings.ts';
import { SETTINGS, type SettingName, type Settings } from '#base/settings-table.ts';
import type { KeyChoice } from '#pki/keys.ts';

/** What all workloads of an agent have in common. */
export interface WorkloadAgentSettings {
  readonly discoveryAddress: string;
  readonly discoveryServerName: string;
  readonly clusterDomain: string;
  readonly audience: string;
  readonly secretTtlMs: number;
  /** The kind of the keys of workloads. */
  readonly key: KeyChoice;
  readonly drainMs: number;
  readonly concurrency: number;
  /** How often it is looked who connects. */
  readonly connectionReportMs: number;
  /** Folders of files that the control plane may name for TLS. */
  readonly secretDirectories: readonly string[];
  /** Whether Envoy's informational lines are logged. */
  readonly verbose: boolean;
}

/**
 * A setting that the agent cannot do without.
 * @throws BulwarkError AGENT_CONFIG_INVALID
 */
export function required(name: SettingName, value: string | undefined): string {
  if (value !== undefined) return value;
  throw new BulwarkError('AGENT_CONFIG_INVALID', `${name} is not set`, {
    remedy: `set ${flagOf(name)}, ${SETTINGS[name].env[0]}, or "${name}" in the configuration`,
  });
}

/**
 * HOST:PORT of the control plane.
 * @throws BulwarkError AGENT_CONFIG_INVALID
 */
export function checkedAddress(address: string): string {
  if (/^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/.test(address)) return address;
  throw new BulwarkError('AGENT_CONFIG_INVALID', `discoveryAddress "${address}" is no HOST:PORT`);
}

/** What all workloads get from the settings. */
export function workloadSettings(settings: Settings): WorkloadAgentSettings {
  return {
    discoveryAddress: settings.discoveryAddress,
    discoveryServerName: settings.discoveryServerName,
    clusterDomain: settings.clusterDomain,
    audience: settings.tokenAudiences[0] ?? '',
    secretTtlMs: settings.secretTtl,
    key: settings.workloadKey,
    drainMs: settings.drainDuration,
    concurrency: settings.envoyConcurrency,
    connectionReportMs: settings.connectionReportInterval,
    secretDirectories: settings.secretDirectories,
    verbose: settings.logLevel === 'debug',
  };
}

/**
 * Where the files of a workload go: what it says itself, else the setting, where each of several
 * workloads has a folder of its own.
 * @returns an absolute path; undefined for no files
 */
export function filesDirectoryOf(
  workload: WorkloadOptions,
  { outputCerts }: Settings,
  workloads: number,
): string | undefined {
  if (workload.outputCerts !== undefined) return resolve(workload.outputCerts);
  if (outputCerts === undefined) return undefined;
  return workloads === 1 ? resolve(outputCerts) : resolve(join(outputCerts, workloadKey(workload)));
}

/** Where the key of a workload is kept over restarts, absolute; undefined where it is not. */
export function statePathOf(
  workload: WorkloadOptions,
  { stateDirectory }: Settings,
): string | undefined {
  if (stateDirectory === undefined) return undefined;
  return resolve(join(stateDirectory, `${workloadKey(workload)}.json`));
}
