import { isIP } from 'node:net';
import { defaultAddresses } from '#agent/config/agent-config.ts';
import { parseUpstream } from '#agent/config/upstream.ts';
import type { WorkloadOptions } from '#agent/config/workload-options.ts';
import { LOOPBACK, reservePorts } from '#agent/envoy/ports.ts';
import { parseDurationMs } from '#base/duration.ts';
import { BulwarkError } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import type { ServiceRequest } from '#cli/run/service-objects.ts';

/** The flags of `bulwark run`, as written. */
export interface RunFlags {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly name?: string;
  readonly service?: string;
  readonly port?: string;
  readonly servicePort?: string;
  readonly protocol: string;
  readonly group?: string;
  readonly upstream: readonly string[];
  readonly label: readonly string[];
  readonly address?: string;
  readonly tokenFile?: string;
  readonly joinToken?: string;
  readonly joinTokenFile?: string;
  readonly readyFile?: string;
  readonly readyTimeout: string;
}

/** What the flags mean. */
export interface RunPlan {
  readonly workload: WorkloadOptions;
  /** The service to be made sure of; undefined when the application is none. */
  readonly service: ServiceRequest | undefined;
  /** The port that the application shall listen on. */
  readonly port: number | undefined;
  readonly readyTimeoutMs: number;
}

/**
 * @throws BulwarkError CLI_USAGE that names the flag, NET_LISTEN_FAILED when there is no free port
 */
export async function planRun(flags: RunFlags): Promise<RunPlan> {
  const { namespace, serviceAccount, service } = flags;
  if (flags.service !== undefined && flags.port === undefined)
    throw usage('--service needs --port, the port of the application (0 = a free one)');
  const wanted = portOf('--port', flags.port, 0);
  const port = wanted === 0 ? await freePort() : wanted;
  const group = flags.group ?? service;
  const name = flags.name ?? service ?? serviceAccount;
  const workload: WorkloadOptions = {
    namespace: nameOf('--namespace', namespace),
    serviceAccount: nameOf('--service-account', serviceAccount),
    name: nameOf('--name', name),
    group: group === undefined ? undefined : nameOf('--group', group),
    mode: 'explicit',
    addresses: addressesOf(flags.address),
    labels: { app: service ?? name, ...Object.fromEntries(flags.label.map(labelOf)) },
    ports: port === undefined ? [] : [{ name: flags.protocol, port, listen: 0 }],
    upstreams: flags.upstream.map(upstreamOf),
    httpProxyPort: 0,
    tokenFile: flags.tokenFile,
    joinToken: flags.joinToken === undefined ? undefined : new Secret(flags.joinToken),
    joinTokenFile: flags.joinTokenFile,
  };
  const servicePort = portOf('--service-port', flags.servicePort, 1) ?? (wanted || 80);
  return {
    workload,
    service:
      service === undefined || port === undefined
        ? undefined
        : {
            namespace,
            serviceAccount,
            service: nameOf('--service', service),
            group: group ?? service,
            portName: flags.protocol,
            servicePort,
            port,
          },
    port,
    readyTimeoutMs: durationOf('--ready-timeout', flags.readyTimeout),
  };
}

async function freePort(): Promise<number | undefined> {
  const [port] = await reservePorts([{ address: LOOPBACK, port: 0 }]);
  return port;
}

function portOf(flag: string, text: string | undefined, min: number): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= min && port <= 65_535) return port;
  throw usage(`${flag} is "${text}"; accepted: a port number from ${min} to 65535`);
}

/** A name of the API. @throws BulwarkError CLI_USAGE */
export function nameOf(flag: string, text: string): string {
  if (/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(text)) return text;
  throw usage(`${flag} is "${text}"; accepted: lower case letters, digits, "-" and "."`);
}

function addressesOf(text: string | undefined): readonly string[] {
  if (text === undefined) return defaultAddresses('explicit');
  if (isIP(text) !== 0) return [text];
  throw usage(`--address is "${text}"; accepted: an IP address`);
}

/** `NAME=VALUE` in two. @throws BulwarkError CLI_USAGE */
export function labelOf(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw usage(`--label is "${text}"; accepted: NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function upstreamOf(text: string) {
  const upstream = parseUpstream(text);
  if (upstream) return upstream;
  throw usage(`--upstream is "${text}"; accepted: HOST:PORT or HOST:PORT=LOCALPORT`);
}

function durationOf(flag: string, text: string): number {
  const durationMs = parseDurationMs(text);
  if (durationMs !== undefined && durationMs > 0) return durationMs;
  throw usage(`${flag} is "${text}"; accepted: a duration such as 30s`);
}

function usage(message: string): BulwarkError {
  return new BulwarkError('CLI_USAGE', message, { remedy: 'see bulwark run --help' });
}
