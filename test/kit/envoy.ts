import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ManagedProcess } from './child-process.ts';
import { temporaryDirectory } from './temp-directory.ts';
import { waitUntil } from './wait-until.ts';

/**
 * The parts of a bootstrap that the kit does not set itself: JSON as Envoy takes it, snake_case or
 * camelCase.
 */
export type BootstrapJson = Readonly<Record<string, unknown>>;

export interface TestEnvoyOptions {
  readonly bootstrap: BootstrapJson;
  /** More arguments, such as `--drain-time-s 1`. */
  readonly args?: readonly string[];
  readonly logLevel?: string;
  /** A command that runs Envoy as its last arguments, such as `ip netns exec x`. */
  readonly through?: readonly string[];
}

/** A running Envoy whose admin interface is on a unix socket in a folder of its own. */
export interface TestEnvoy {
  /** Its folder, private and removed after the test. */
  readonly directory: string;
  readonly process: ManagedProcess;
  /** The body of an admin answer (`GET` when no method is named); throws unless it is 200. */
  admin(path: string, method?: 'GET' | 'POST'): Promise<string>;
  /** One value of `/stats`; 0 when Envoy does not know it (yet). */
  stat(name: string): Promise<number>;
  /** Waits until `/ready` says LIVE. */
  ready(): Promise<void>;
  stop(): Promise<void>;
}

const START_MS_MAX = 60_000;

/** The path of the Envoy that the set-up found. */
export function envoyPath(): string {
  const found = new URL('../../gen/envoy.json', import.meta.url);
  return (JSON.parse(readFileSync(found, 'utf8')) as { path: string }).path;
}

/**
 * Starts an Envoy and waits until its admin interface answers. It ends with the test, also when
 * that fails.
 */
export async function startEnvoy(
  test: Pick<TestContext, 'after'>,
  { bootstrap, args, logLevel, through = [] }: TestEnvoyOptions,
): Promise<TestEnvoy> {
  const directory = temporaryDirectory(test);
  const socketPath = join(directory, 'admin.sock');
  const config = join(directory, 'bootstrap.json');
  const admin = { address: { pipe: { path: socketPath, mode: 0o600 } } };
  writeFileSync(config, JSON.stringify({ ...bootstrap, admin }), { mode: 0o600 });
  const fixed = ['--disable-hot-restart', '--concurrency', '1', '-l', logLevel ?? 'warn'];
  const [command = '', ...before] = [...through, envoyPath()];
  const child = new ManagedProcess({
    name: 'envoy',
    command,
    args: [...before, '-c', config, ...fixed, ...(args ?? [])],
  });
  const stop = endWithProcess(child);
  test.after(stop);
  const ask = (path: string, method = 'GET'): Promise<string> => {
    if (child.exit) throw new Error(`Envoy ended: ${child.tail()}`);
    return askAdmin({ socketPath, path, method });
  };
  const wait = { withinMs: START_MS_MAX };
  await waitUntil(() => (child.exit ? 'ended' : ask('/server_info')), 'Envoy answers', wait);
  if (child.exit) throw new Error(`Envoy ended: ${child.tail()}`);
  return {
    directory,
    process: child,
    admin: ask,
    stat: async (name) => {
      const lines = (await ask(`/stats?filter=^${encodeURIComponent(name)}$`)).split('\n');
      const line = lines.find((text) => text.startsWith(`${name}: `));
      return line === undefined ? 0 : Number(line.slice(name.length + 2));
    },
    ready: async () => {
      await waitUntil(() => ask('/ready'), 'Envoy is ready', wait);
    },
    stop,
  };
}

/** Stops `child` when called, and kills it when this process ends without having called. */
function endWithProcess(child: ManagedProcess): () => Promise<void> {
  const kill = (): void => child.signal('SIGKILL');
  const exit = (): never => process.exit(1);
  process.once('exit', kill);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, exit);
  return async () => {
    await child.stop();
    process.off('exit', kill);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, exit);
  };
}

function askAdmin(options: { socketPath: string; path: string; method: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ ...options, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(body);
        else reject(new Error(`${options.path}: ${response.statusCode} ${body}`));
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}
