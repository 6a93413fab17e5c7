import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ManagedProcess } from './child-process.ts';
import { temporaryDirectory } from './temp-directory.ts';

const PROGRAM = fileURLToPath(new URL('pod-program.ts', import.meta.url));

/** The group whose traffic redirection leaves alone, and the user that applications run as. */
const PROXY_GROUP = 1337;
const APPLICATION_USER = 2000;

/**
 * Redirection as Istio does it, for IPv4: out to 15001, in to 15006, the proxy's own traffic not at
 * all.
 */
const REDIRECTION = `
table ip bulwark_test {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    meta l4proto tcp redirect to :15006
  }
  chain output {
    type nat hook output priority -100;
    oifname "lo" ip saddr 127.0.0.6 return
    meta skgid ${PROXY_GROUP} return
    ip daddr 127.0.0.1 return
    oifname "lo" return
    meta l4proto tcp redirect to :15001
  }
}
`;

/** A pod: a network namespace with one address. */
export interface Pod {
  readonly address: string;
  /** The beginning of a command line that runs something as the pod's proxy. */
  readonly asProxy: readonly string[];
  /** Starts the pod's program with these arguments and waits until it says that it serves. */
  serve(...args: readonly string[]): Promise<{ readonly ended: Promise<void> }>;
  /** Runs the pod's program with these arguments to its end, and gives what it prints. */
  call<T>(...args: readonly string[]): T;
}

/**
 * Pods on a bridge that nothing outside reaches; all is gone after the test. Needs root, ip, nft
 * and setpriv.
 */
export class PodNetwork {
  readonly #test: Pick<TestContext, 'after'>;
  readonly #prefix = `bw${randomBytes(3).toString('hex')}`;
  readonly #directory: string;
  /** The program of the pods, where their user may read it: the sources may be root's alone. */
  readonly #program: string;
  #pods = 0;

  constructor(test: Pick<TestContext, 'after'>) {
    this.#test = test;
    this.#directory = temporaryDirectory(test);
    chmodSync(this.#directory, 0o755);
    this.#program = join(this.#directory, 'pod-program.mts');
    copyFileSync(PROGRAM, this.#program);
    this.#addNamespace(this.#hub);
    this.#in(this.#hub, 'ip', 'link', 'add', 'bridge', 'type', 'bridge');
    this.#in(this.#hub, 'ip', 'link', 'set', 'bridge', 'up');
  }

  /** Adds a pod. `redirected`: its TCP traffic goes through 15001 and 15006. */
  add(redirected: boolean): Pod {
    this.#pods += 1;
    const name = `${this.#prefix}p${this.#pods}`;
    const address = `10.88.0.${this.#pods}`;
    this.#addNamespace(name);
    const port = `v${this.#pods}`;
    run(
      'ip',
      'link',
      'add',
      port,
      'netns',
      this.#hub,
      'type',
      'veth',
      'peer',
      'eth0',
      'netns',
      name,
    );
    this.#in(this.#hub, 'ip', 'link', 'set', port, 'master', 'bridge', 'up');
    this.#in(name, 'ip', 'address', 'add', `${address}/24`, 'dev', 'eth0');
    this.#in(name, 'ip', 'link', 'set', 'eth0', 'up');
    // Virtual addresses of services are nobody's: their packets must leave all the same.
    this.#in(name, 'ip', 'route', 'add', 'default', 'via', '10.88.0.254', 'dev', 'eth0');
    if (redirected) this.#redirect(name);
    return this.#podOf(name, address);
  }

  get #hub(): string {
    return `${this.#prefix}hub`;
  }

  #podOf(name: string, address: string): Pod {
    const inside = ['ip', 'netns', 'exec', name];
    const user = ['setpriv', `--reuid=${APPLICATION_USER}`, `--regid=${APPLICATION_USER}`];
    const asUser = [...inside, ...user, '--clear-groups', process.execPath, this.#program];
    const [command = '', ...before] = asUser;
    return {
      address,
      asProxy: [...inside, 'setpriv', `--regid=${PROXY_GROUP}`, '--clear-groups'],
      serve: async (...args) => {
        const child = new ManagedProcess({ name, command, args: [...before, ...args] });
        this.#test.after(() => child.kill());
        await child.waitForLine((line) => (line === 'serving' ? line : undefined), 60_000);
        return { ended: child.ended };
      },
      call: (...args) => JSON.parse(run(command, ...before, ...args)),
    };
  }

  #addNamespace(name: string): void {
    run('ip', 'netns', 'add', name);
    this.#test.after(() => run('ip', 'netns', 'delete', name));
    this.#in(name, 'ip', 'link', 'set', 'lo', 'up');
    // Applications may listen on port 80 though they are not root.
    const ports = '/proc/sys/net/ipv4/ip_unprivileged_port_start';
    this.#in(name, 'sh', '-c', `echo 0 > ${ports}`);
  }

  #redirect(name: string): void {
    const file = join(this.#directory, 'redirection.nft');
    writeFileSync(file, REDIRECTION);
    this.#in(name, 'nft', '-f', file);
  }

  #in(namespace: string, ...command: readonly string[]): void {
    run('ip', 'netns', 'exec', namespace, ...command);
  }
}

function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
