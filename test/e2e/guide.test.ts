// The commands of the guide's first page work as they stand there: a server, kubectl, three
// applications, real Envoys, and a rule that is changed and taken back. Only ports and the data
// folder are put in place of the page's.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../tools/setup/processes.js';
import { ManagedProcess } from '../kit/child-process.ts';
import { freePort } from '../kit/free-port.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { waitUntil } from '../kit/wait-until.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_MS_MAX = 60_000;
/** The application ports of the page, in the order of the tiers. */
const PAGE_PORTS = ['8081', '8082', '8083'];

/** The code blocks of the page. */
function blocks(): string[] {
  const text = readFileSync(join(ROOT, 'docs/guide/getting-started.md'), 'utf8');
  return [...text.matchAll(/^```\n([\s\S]*?)^```/gm)].map(([, code]) => code ?? '');
}

function blockWith(part: string): string {
  const found = blocks().find((block) => block.includes(part));
  assert.ok(found, `the page has no block with "${part}"`);
  return found;
}

/** Runs commands of the page in an environment of our own. */
class Terminal {
  readonly env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}`,
    BULWARK_SECURE_PORT: '0',
    BULWARK_MONITORING_PORT: '0',
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

/** The server of the page, and what the page exports for other terminals. */
async function startServer(terminal: Terminal): Promise<ManagedProcess> {
  const server = terminal.start('server', blockWith('server --data').split('\n')[1] ?? '');
  await server.waitForLine((line) => line === 'ready' || undefined, START_MS_MAX);
  const exports = terminal.here(blockWith('export '));
  for (const [, name = '', value = ''] of exports.matchAll(/(\w+)=(\S+)/g))
    terminal.env[name] = value;
  return server;
}

describe('the guide', () => {
  test('takes the three tiers into the mesh, and a rule out of force and back', async (t) => {
    const terminal = new Terminal();
    t.after(() => terminal.close());
    terminal.replaced.set('~/mesh', join(temporaryDirectory(t), 'mesh'));
    for (const port of PAGE_PORTS) terminal.replaced.set(port, String(await freePort()));
    const server = await startServer(terminal);
    const objects = await terminal.shell(blockWith('kubectl apply'));
    assert.match(objects, /datastore-callers +ALLOW/);
    const tiers = blocks().filter((block) => block.includes('bulwark.js run --namespace'));
    assert.equal(tiers.length, 3);
    for (const [index, command] of tiers.entries()) terminal.start(`tier ${index + 1}`, command);

    const frontend = terminal.here('http://127.0.0.1:8083');
    const ask = async (path: string): Promise<string> => (await fetch(frontend + path)).text();
    const within = { withinMs: START_MS_MAX, everyMs: 50 };
    await waitUntil(async () => (await ask('/')).includes('<figure>'), 'the page', within);
    const refused = blockWith('RBAC: access denied').split('\n')[1] ?? '';
    assert.equal(await ask('/try-datastore'), refused);
    assert.match(await terminal.shell('bin/bulwark.js proxy-status'), /photo-frontend/);

    await terminal.shell(blockWith('kubectl patch').split('\ncurl')[0] ?? '');
    const letIn = async () => (await ask('/try-datastore')).includes('"status":200');
    await waitUntil(letIn, 'the frontend to be let in');
    await terminal.shell('kubectl apply -f samples/photo/06-authorization.yaml');
    await waitUntil(async () => (await ask('/try-datastore')) === refused, 'the rule to be back');

    await server.kill();
    assert.match(await ask('/'), /<figure>/);
  });
});
