import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { load } from 'js-yaml';
import { BulwarkError } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';

/** How to reach an API server and as whom: what the current context of a kubeconfig says. */
export interface ClusterAccess {
  /** `https://127.0.0.1:6443`, without a slash at the end. */
  readonly server: string;
  /** PEM; the system's roots when undefined. */
  readonly certificateAuthority: string | undefined;
  /** The DNS name to verify instead of the address's. */
  readonly tlsServerName: string | undefined;
  readonly clientCertificate: string | undefined;
  readonly clientKey: Secret<string> | undefined;
  readonly token: Secret<string> | undefined;
  /** The namespace for commands that name none. */
  readonly namespace: string;
}

interface Named {
  readonly name?: string;
}
interface ClusterEntry extends Named {
  readonly cluster?: Readonly<Record<string, string | undefined>>;
}
interface UserEntry extends Named {
  readonly user?: Readonly<Record<string, string | undefined>>;
}
interface ContextEntry extends Named {
  readonly context?: Readonly<Record<string, string | undefined>>;
}
interface Kubeconfig {
  readonly 'current-context'?: string;
  readonly clusters?: readonly ClusterEntry[];
  readonly users?: readonly UserEntry[];
  readonly contexts?: readonly ContextEntry[];
}

/** The kubeconfig that kubectl would take when none is named. */
export function defaultKubeconfigPath(): string {
  return join(homedir(), '.kube', 'config');
}

/**
 * Reads the current context of a kubeconfig (kubernetes.io, "Organizing Cluster Access").
 * @throws BulwarkError FILES_UNREADABLE, or SETTINGS_INVALID that says what the file lacks
 */
export async function readKubeconfig(path: string): Promise<ClusterAccess> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new BulwarkError('FILES_UNREADABLE', `cannot read the kubeconfig ${path}`, {
      remedy: 'name one with --kubeconfig or KUBECONFIG; the server writes DATA/admin.kubeconfig',
      cause,
    });
  });
  const invalid = (what: string, cause?: unknown): BulwarkError =>
    new BulwarkError('SETTINGS_INVALID', `kubeconfig ${path}: ${what}`, { cause });
  let parsed: unknown;
  try {
    parsed = load(text);
  } catch (cause) {
    throw invalid('is not YAML', cause);
  }
  if (typeof parsed !== 'object' || parsed === null) throw invalid('is empty');
  const config = parsed as Kubeconfig;
  const contextName = config['current-context'];
  const context = config.contexts?.find(({ name }) => name === contextName)?.context;
  if (!context) throw invalid(`has no context "${contextName ?? ''}"`);
  const cluster = config.clusters?.find(({ name }) => name === context.cluster)?.cluster;
  const server = cluster?.server;
  if (!cluster || !server) throw invalid(`has no server for cluster "${context.cluster ?? ''}"`);
  const user = config.users?.find(({ name }) => name === context.user)?.user ?? {};
  const directory = dirname(path);
  const key = await material(user, 'client-key', directory);
  const token = user.token ?? (await fromFile(user.tokenFile, directory))?.trim();
  return {
    server: server.replace(/\/+$/, ''),
    certificateAuthority: await material(cluster, 'certificate-authority', directory),
    tlsServerName: cluster['tls-server-name'],
    clientCertificate: await material(user, 'client-certificate', directory),
    clientKey: key === undefined ? undefined : new Secret(key),
    token: token === undefined ? undefined : new Secret(token),
    namespace: context.namespace ?? 'default',
  };
}

/** PEM given inline (`<field>-data`, base64) or by file name, relative to the kubeconfig. */
async function material(
  entry: Readonly<Record<string, string | undefined>>,
  field: string,
  directory: string,
): Promise<string | undefined> {
  const inline = entry[`${field}-data`];
  if (inline !== undefined) return Buffer.from(inline, 'base64').toString('utf8');
  return fromFile(entry[field], directory);
}

async function fromFile(name: string | undefined, directory: string): Promise<string | undefined> {
  if (name === undefined) return undefined;
  const path = resolve(directory, name);
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw new BulwarkError('FILES_UNREADABLE', `cannot read ${path}, which the kubeconfig names`, {
      cause,
    });
  });
}
