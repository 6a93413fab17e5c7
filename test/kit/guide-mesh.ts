import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../tools/setup/processes.js';
import { ManagedProcess } from './child-process.ts';
import { freePort } from './free-port.ts';
import { temporaryDirectory } from './temp-directory.ts';
import { waitUntil } from './wait-until.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_MS_MAX = 60_000;
/** The application ports of the first page, in the order of the tiers. */
const PAGE_PORTS = ['8081', '8082', '8083'];

/** A page of the guide: its blocks of commands and output. */
export class GuidePage {
  /** All of it. */
  readonly text: string;
  readonly #blocks: readonly string[];

  /** `name`: `getting-started.md` */
  constructor(name: string) {
    this.text = readFileSync(join(ROOT, 'docs/guide', name), 'utf8');
    const found = [...this.text.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)];
    // Those that name a language are to be read, not run.
    this.#blocks = found.flatMap(([, language, code]) => (language === '' ? [code ?? ''] : []));
  }

  /** Every block that holds the text, in their order. */
  blocksWith(part: string): readonly string[] {
    return this.#blocks.filter((block) => block.includes(part));
  }

  /** The first block that holds the text. */
  blockWith(part: string): string {
    const [found] = this.blocksWith(part);
    assert.ok(found, `the page has no block with "${part}"`);
    return found;
  }
}

/** Runs commands of the page in an environment of our own. */
export class Terminal {
  readonly env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}`,
    BULWARK_SECURE_PORT: '0',
    BULWARK_MONITORING_PORT: '0',
    // Nobody waits for what agents tell.
    BULWARK_CONNECTION_REPORT_INTERVAL: '1s',
  };
  /** What stands in place of the page's ports and folder. */
  readonly replaced = new Map<string, string>();
  readonly #started: ManagedProcess[] = [];

  here(text: string): string {
    return [...this.replaced].reduce((result, [from, to]) => result.replaceAll(from, to), text);
  }

  /** Starts one command that goes on until the terminal closes. */
  start(name: string, command: string): ManagedProcess {
    const script = `exec ${this.here(command).replaceAll('\\\n', ' ')}`;
    const options = { name, command: 'bash', args: ['-c', script], cwd: ROOT, env: this.env };
    const started = new ManagedProcess(options);
    this.#started.push(started);
    return started;
  }

  /** Runs commands to their end and gives their output. */
  async shell(commands: string): Promise<string> {
    const options = { cwd: ROOT, env: this.env };
    const { code, stdout, stderr } = await run('bash', ['-euc', this.here(commands)], options);
    const hint = /kubectl: (command )?not found/.test(stderr) ? '; see CONTRIBUTING.md' : '';
    assert.equal(code, 0, `${commands}: ${stdout}${stderr}${hint}`);
    return stdout.toString();
  }

  async close(): Promise<void> {
    for (const one of this.#started.reverse()) await one.stop();
  }
}

/** The mesh of the guide's first page: server, objects and the three tiers. */
export interface GuideMesh {
  readonly terminal: Terminal;
  readonly server: ManagedProcess;
  /** What `kubectl get` said of the objects. */
  readonly objects: string;
  /** Asks the frontend itself. */
  ask(path: string): Promise<string>;
}

/** Does what the first page says until the frontend shows its page; ends with the test. */
export async function startGuideMesh(test: Pick<TestContext, 'after'>): Promise<GuideMesh> {
  const page = new GuidePage('getting-started.md');
  const terminal = new Terminal();
  test.after(() => terminal.close());
  terminal.replaced.set('~/mesh', join(temporaryDirectory(test), 'mesh'));
  for (const port of PAGE_PORTS) terminal.replaced.set(port, String(await freePort()));
  const command = page.blockWith('server --data').split('\n')[1] ?? '';
  const server = terminal.start('server', command);
  await server.waitForLine((line) => line === 'ready' || undefined, START_MS_MAX);
  const exports = terminal.here(page.blockWith('export '));
  for (const [, name = '', value = ''] of exports.matchAll(/(\w+)=(\S+)/g))
    terminal.env[name] = value;
  const objects = await terminal.shell(page.blockWith('kubectl apply'));
  const tiers = page.blocksWith('bulwark.js run --namespace');
  assert.equal(tiers.length, PAGE_PORTS.length);
  for (const [index, tier] of tiers.entries()) terminal.start(`tier ${index + 1}`, tier);
  const frontend = terminal.here('http://127.0.0.1:8083');
  const ask = async (path: string): Promise<string> => (await fetch(frontend + path)).text();
  const within = { withinMs: START_MS_MAX, everyMs: 50 };
  await waitUntil(async () => (await ask('/')).includes('<figure>'), 'the page', within);
  return { terminal, server, objects, ask };
}
