/**
 * The node side of the traffic driver: reads calls as JSON lines `{ method, … }`, answers each with
 * a line `{ result }` or `{ error }`. Ends with everything it started when its input ends.
 */
import { createInterface } from 'node:readline';
import { type PodDescription, TrafficMesh } from './traffic-mesh.ts';

interface Call {
  readonly method: string;
  readonly [name: string]: unknown;
}

let mesh: TrafficMesh | undefined;

function started(): TrafficMesh {
  if (!mesh) throw new Error('nothing was started');
  return mesh;
}

const METHODS: Readonly<Record<string, (call: Call) => unknown>> = {
  start: async ({ hub, prefix, directory, files, pods }) => {
    mesh = new TrafficMesh({
      hub: String(hub),
      prefix: String(prefix),
      directory: String(directory),
      files: String(files),
    });
    await mesh.start(pods as readonly PodDescription[]);
  },
  mesh: ({ text }) => started().setMesh(String(text)),
  config: ({ text }) => started().setObjects(String(text)),
  position: () => started().refusals.length,
  refusals: ({ since }) => started().refusals.slice(Number(since)),
  handshakes: ({ pod }) => started().handshakes(String(pod)),
};

async function answer(line: string): Promise<object> {
  try {
    const call = JSON.parse(line) as Call;
    const method = METHODS[call.method];
    if (!method) throw new Error(`there is no method ${call.method}`);
    return { result: (await method(call)) ?? null };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

async function end(): Promise<void> {
  await mesh?.stop();
  process.exit(0);
}

process.on('SIGTERM', () => void end());
process.on('SIGINT', () => void end());
for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
await end();
