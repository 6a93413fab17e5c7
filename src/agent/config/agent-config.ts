import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { dirname, resolve } from 'node:path';
import { load } from 'js-yaml';
import { Fields, LABEL, type Problems, SUBDOMAIN, TEXT } from '#agent/config/fields.ts';
import { parseUpstream, upstreamVariable } from '#agent/config/upstream.ts';
import {
  type AppPort,
  type Upstream,
  type WorkloadOptions,
  workloadKey,
} from '#agent/config/workload-options.ts';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { Secret } from '#base/secret.ts';
import type { SettingDefinition } from '#base/settings/definition.ts';
import { SETTINGS } from '#base/settings-table.ts';

/** What an agent's configuration file says. */
export interface AgentConfig {
  readonly workloads: readonly WorkloadOptions[];
  /** The other entries: settings by name, still to be checked (`resolveSettings`). */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** The loopback address, on which explicit mode listens unless told otherwise. */
const LOOPBACK = '127.0.0.1';
const MODES = ['explicit', 'redirect', 'gateway', 'identity'] as const;
/** The control plane takes no more for one proxy. */
const ADDRESSES_MAX = 16;

/**
 * Reads an agent's configuration: YAML with any settings by name, and `workloads`.
 * @throws BulwarkError AGENT_CONFIG_INVALID that names every wrong field, in `data.problems` too
 */
export async function readAgentConfig(path: string): Promise<AgentConfig> {
  const text = textOf(path);
  if (Buffer.byteLength(text) > LIMITS.documentBytesMax)
    throw configError(path, [`it is larger than ${LIMITS.documentBytesMax} bytes`]);
  let parsed: unknown;
  try {
    parsed = load(text);
  } catch (cause) {
    throw configError(path, [`it is not YAML: ${(cause as Error).message.split('\n')[0]}`], cause);
  }
  const problems: Problems = [];
  const directory = dirname(resolve(path));
  const root = new Fields(parsed, '', problems);
  const workloads = root
    .list('workloads')
    .map((entry) => parseWorkload(entry.value, entry.path, directory, problems));
  if (workloads.length === 0 && problems.length === 0)
    problems.push('workloads must have at least one entry');
  if (workloads.length > LIMITS.agentWorkloadsMax)
    problems.push(`workloads has more than ${LIMITS.agentWorkloadsMax} entries`);
  problems.push(...repeated(workloads));
  if (problems.length > 0) throw configError(path, problems);
  const { workloads: _, ...settings } = parsed as Record<string, unknown>;
  return { workloads, settings: absolutePaths(settings, directory) };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new BulwarkError('AGENT_CONFIG_INVALID', `cannot read the configuration ${path}`, {
      remedy: 'check the path and its permissions',
      cause,
    });
  }
}

/** Paths in the file count from the file. */
function absolutePaths(
  settings: Readonly<Record<string, unknown>>,
  directory: string,
): Readonly<Record<string, unknown>> {
  const definitions: Readonly<Record<string, SettingDefinition>> = SETTINGS;
  const entries = Object.entries(settings).map(([name, value]) => {
    const isPath = definitions[name]?.type === 'path' && typeof value === 'string';
    return [name, isPath ? resolve(directory, value) : value] as const;
  });
  return Object.fromEntries(entries);
}

/** All problems as one error. */
function configError(where: string, problems: Problems, cause?: unknown): BulwarkError {
  return new BulwarkError('AGENT_CONFIG_INVALID', `${where}: ${problems.join('; ')}`, {
    remedy: 'correct it and start again',
    data: { problems },
    cause,
  });
}

function parseWorkload(
  value: unknown,
  path: string,
  directory: string,
  problems: Problems,
): WorkloadOptions {
  const fields = new Fields(value, path, problems);
  const mode = fields.choice('mode', MODES, 'explicit');
  const file = (name: string): string | undefined => {
    const given = fields.optionalText(name, TEXT);
    return given === undefined ? undefined : resolve(directory, given);
  };
  const serviceAccount = fields.text('serviceAccount', SUBDOMAIN);
  const workload: WorkloadOptions = {
    namespace: fields.text('namespace', LABEL),
    serviceAccount,
    name: fields.optionalText('name', SUBDOMAIN) ?? serviceAccount,
    group: fields.optionalText('group', SUBDOMAIN),
    mode,
    addresses: parseAddresses(fields, mode, problems),
    bindAddress: fields.optionalText('bindAddress', TEXT),
    labels: fields.textMap('labels'),
    ports: parseApp(fields, problems),
    upstreams: parseUpstreams(fields, problems),
    httpProxyPort: fields.port('httpProxyPort', 0, 0),
    tokenFile: file('tokenFile'),
    joinToken: secretOf(fields.optionalText('joinToken', TEXT)),
    joinTokenFile: file('joinTokenFile'),
    outputCerts: file('outputCerts'),
    kubeconfig: file('kubeconfig'),
  };
  fields.finish();
  if (mode !== 'explicit' && (workload.upstreams.length > 0 || workload.httpProxyPort > 0))
    problems.push(`${path}: upstreams and httpProxyPort are for mode explicit`);
  if ((mode === 'identity' || mode === 'gateway') && workload.ports.length > 0)
    problems.push(`${path}: app.ports are for an application, which mode ${mode} has none of`);
  problems.push(...problemsOfBind(workload, path));
  return workload;
}

function problemsOfBind({ mode, bindAddress }: WorkloadOptions, path: string): Problems {
  if (bindAddress === undefined) return [];
  if (mode !== 'gateway') return [`${path}: bindAddress is for mode gateway`];
  return isIP(bindAddress) === 0 ? [`${path}.bindAddress must be an IP address`] : [];
}

function secretOf(text: string | undefined): Secret<string> | undefined {
  return text === undefined ? undefined : new Secret(text);
}

function parseAddresses(
  fields: Fields,
  mode: WorkloadOptions['mode'],
  problems: Problems,
): readonly string[] {
  const given = fields.list('addresses').flatMap(({ value, path }) => {
    if (typeof value === 'string' && isIP(value) !== 0) return [value];
    problems.push(`${path} must be an IP address`);
    return [];
  });
  return given.length > 0 ? given : defaultAddresses(mode);
}

/**
 * Where a workload is when nobody says: on loopback, or, with redirection and as a gateway, at all
 * addresses of the machine.
 */
export function defaultAddresses(mode: WorkloadOptions['mode']): readonly string[] {
  if (mode !== 'redirect' && mode !== 'gateway') return [LOOPBACK];
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, scopeid }) => !internal && !scopeid)
    .map(({ address }) => address);
  return own.length > 0 ? own.slice(0, ADDRESSES_MAX) : [LOOPBACK];
}

function parseApp(fields: Fields, problems: Problems): readonly AppPort[] {
  const value = fields.raw('app');
  if (value === undefined) return [];
  const app = new Fields(value, fields.at('app'), problems);
  const ports = app.list('ports').map((entry) => {
    const port = new Fields(entry.value, entry.path, problems);
    const parsed = {
      name: port.text('name', LABEL),
      port: port.port('port', 1),
      listen: port.port('listen', 0, 0),
    };
    port.finish();
    return parsed;
  });
  app.finish();
  for (const key of ['name', 'port'] as const) {
    const values = ports.map((port) => String(port[key]));
    const twice = values.find((entry, index) => values.indexOf(entry) !== index);
    if (twice) problems.push(`${app.at('ports')} has two entries with ${key} ${twice}`);
  }
  return ports;
}

function parseUpstreams(fields: Fields, problems: Problems): readonly Upstream[] {
  const upstreams = fields.list('upstreams').flatMap(({ value, path }) => {
    const upstream = typeof value === 'string' ? parseUpstream(value) : undefined;
    if (upstream) return [upstream];
    problems.push(`${path} must be "HOST:PORT" or "HOST:PORT=LOCALPORT"`);
    return [];
  });
  const variables = upstreams.map(upstreamVariable);
  const twice = variables.find((entry, index) => variables.indexOf(entry) !== index);
  if (twice) problems.push(`${fields.at('upstreams')} names one service twice (${twice})`);
  return upstreams;
}

function repeated(workloads: readonly WorkloadOptions[]): Problems {
  const keys = workloads.map(workloadKey);
  const folders = workloads.flatMap(({ outputCerts = [] }) => outputCerts);
  return [
    ...twiceIn(keys).map((key) => `workloads has two entries named ${key}`),
    ...twiceIn(folders).map((folder) => `outputCerts ${folder} is that of two workloads`),
  ];
}

function twiceIn(values: readonly string[]): readonly string[] {
  return [...new Set(values.filter((value, index) => values.indexOf(value) !== index))];
}
