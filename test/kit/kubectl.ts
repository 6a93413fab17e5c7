import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ManagedProcess } from './child-process.ts';

/** What kubectl said. */
export interface KubectlAnswer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The real kubectl, with a home and caches of its own, apart from those of whoever runs it. */
export class Kubectl {
  readonly #env: Record<string, string>;
  readonly #cache: string;

  /**
   * @param options.directory a temporary directory for its home and caches
   * @throws Error that says how to get kubectl when there is none
   */
  constructor(options: { readonly kubeconfig: string; readonly directory: string }) {
    const home = join(options.directory, 'home');
    mkdirSync(home, { recursive: true });
    this.#cache = join(options.directory, 'kubectl-cache');
    const { PATH = '' } = process.env;
    this.#env = { PATH, HOME: home, KUBECONFIG: options.kubeconfig };
    if (spawnSync('kubectl', ['version', '--client'], { env: this.#env }).error) {
      throw new Error(
        'these tests need kubectl, and there is none on PATH: install the package "kubectl" of ' +
          'your distribution, or see kubernetes.io/docs/tasks/tools',
      );
    }
  }

  /** Runs to the end. */
  run(args: readonly string[], stdin?: string): Promise<KubectlAnswer> {
    const child = spawn('kubectl', ['--cache-dir', this.#cache, ...args], { env: this.#env });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      stderr += chunk;
    });
    child.stdin.end(stdin);
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
    });
  }

  /** Runs to the end and gives what it printed. @throws Error when it failed */
  async output(args: readonly string[], stdin?: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, stdin);
    if (code === 0) return stdout;
    throw new Error(`kubectl ${args.join(' ')} ended with ${code}: ${stderr}`);
  }

  /** Starts one that goes on, such as `get --watch`. */
  start(args: readonly string[]): ManagedProcess {
    return new ManagedProcess({
      name: `kubectl ${args.join(' ')}`,
      command: 'kubectl',
      args: ['--cache-dir', this.#cache, ...args],
      env: this.#env,
    });
  }
}
