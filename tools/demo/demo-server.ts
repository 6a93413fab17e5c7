import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { ADMIN_PATHS, type RootsView } from '#admin/contract.ts';
import { KINDS } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import { applyObject, pathsOf } from '#cli/apply-object.ts';
import { formatDiagnostic, readObjects } from '#cli/read-objects.ts';
import type { ServerAddresses } from '#controlplane/addresses.ts';
import { KubeClient } from '#kubeclient/kube-client.ts';
import { readKubeconfig } from '#kubeclient/kubeconfig.ts';
import { ManagedProcess } from '../../test/kit/child-process.ts';

export interface DemoServerOptions {
  /** The checkout. */
  readonly root: string;
  /** The data folder; the same for each start. */
  readonly data: string;
  /** How long certificates live, as a setting. */
  readonly certTtl: string;
  /** Flags for its ports; any that are free when left out. */
  readonly ports?: () => Promise<readonly string[]>;
}

const START_MS_MAX = 60_000;

/** Starts a command of ours as a process. */
export function bulwark(
  root: string,
  { name, args }: { readonly name: string; readonly args: readonly string[] },
): ManagedProcess {
  const main = join(root, 'src/cli/main.ts');
  const node = ['--disable-warning=ExperimentalWarning', main];
  return new ManagedProcess({ name, command: process.execPath, args: [...node, ...args] });
}

/** The control plane of the demo, a process of its own, and the objects in it. */
export class DemoServer {
  readonly #options: DemoServerOptions;
  #process: ManagedProcess | undefined;
  #ports: Promise<readonly string[]> | undefined;
  #client: KubeClient | undefined;
  #objectsBeforeKill: ReadonlySet<string> = new Set();

  constructor(options: DemoServerOptions) {
    this.#options = options;
  }

  get process(): ManagedProcess | undefined {
    return this.#process;
  }

  get kubeconfig(): string {
    return join(this.#options.data, 'admin.kubeconfig');
  }

  get rootCertificate(): string {
    return join(this.#options.data, 'root-cert.pem');
  }

  /** The names of all objects at the moment before the last kill. */
  get objectsBeforeKill(): ReadonlySet<string> {
    return this.#objectsBeforeKill;
  }

  /** Starts it, on the same data folder each time. */
  async start(): Promise<void> {
    const { root, data, certTtl } = this.#options;
    this.#ports ??= this.#options.ports?.();
    const ports = (await this.#ports) ?? ['--secure-port', '0', '--monitoring-port', '0'];
    const args = ['server', '--data', data, ...ports, '--workload-cert-ttl', certTtl];
    this.#process = bulwark(root, { name: 'server', args });
    await this.#process.waitForLine((line) => line === 'ready' || undefined, START_MS_MAX);
    this.#client?.close();
    this.#client = new KubeClient(await readKubeconfig(this.kubeconfig));
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    this.#objectsBeforeKill = await this.listObjects();
    await this.#process?.kill();
  }

  /** Ends it gently. */
  async stop(): Promise<void> {
    this.#client?.close();
    await this.#process?.stop();
  }

  /** Where it listens, as it wrote it down. */
  addresses(): ServerAddresses {
    return JSON.parse(readFileSync(join(this.#options.data, 'addresses.json'), 'utf8'));
  }

  /** Applies samples/photo with the command, as a user does it. */
  async applySample(): Promise<void> {
    const { root } = this.#options;
    const sample = join(root, 'samples/photo');
    const args = ['apply', '--kubeconfig', this.kubeconfig, '-f', sample];
    const apply = bulwark(root, { name: 'apply', args });
    await apply.ended;
    if (apply.exit?.code !== 0) throw new Error(`bulwark apply failed${apply.tail()}`);
  }

  /** Runs a command of an administrator to its end. @throws Error with its words when it fails */
  async command(args: readonly string[]): Promise<void> {
    const command = bulwark(this.#options.root, {
      name: args.join(' '),
      args: [...args, '--kubeconfig', this.kubeconfig],
    });
    await command.ended;
    if (command.exit?.code !== 0) throw new Error(`${args.join(' ')} failed${command.tail()}`);
    // It may have changed what the server is verified against.
    this.#client?.close();
    this.#client = new KubeClient(await readKubeconfig(this.kubeconfig));
  }

  /** The key ids of the roots that the mesh trusts. */
  async rootKeyIds(): Promise<readonly string[]> {
    const view = await this.#api.expect({ method: 'GET', path: ADMIN_PATHS.roots });
    return (view as RootsView).roots.map(({ keyId }) => keyId);
  }

  /** Applies YAML as `bulwark apply -f -` and `kubectl apply` do. */
  async apply(yaml: string): Promise<void> {
    const { objects, diagnostics } = await readObjects(['-'], Readable.from([yaml]));
    const wrong = diagnostics.find(({ severity }) => severity === 'error');
    if (wrong) throw new Error(formatDiagnostic(wrong));
    for (const object of objects) await applyObject(this.#api, object, pathsOf(object, 'default'));
  }

  /** Deletes an object by its path. */
  async remove(path: string): Promise<void> {
    await this.#api.expect({ method: 'DELETE', path });
  }

  /** The names of all objects, `kind namespace/name`. */
  async listObjects(): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    for (const { group, versions, plural } of KINDS) {
      const base = group === '' ? `/api/${versions[0]}` : `/apis/${group}/${versions[0]}`;
      const list = await this.#api.expect({ method: 'GET', path: `${base}/${plural}` });
      for (const { metadata } of (list as { items: readonly ApiObject[] }).items) {
        names.add(`${plural} ${metadata.namespace ?? ''}/${metadata.name}`);
      }
    }
    return names;
  }

  get #api(): KubeClient {
    if (!this.#client) throw new Error('the server was not started');
    return this.#client;
  }
}
