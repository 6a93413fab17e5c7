// What an agent with a hundred identities takes in memory, against a bare Node process that has
// loaded what TLS and HTTP/2 need. Resident sizes of both processes, at rest.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { RealMesh } from '../../test/kit/real-mesh.ts';
import type { BenchResult } from '../bench-result.ts';
import { median } from '../median.ts';

const IDENTITIES = 100;
const ROUNDS = 3;
/** Until an agent at rest has given back what its start needed, twice: see agent/process. */
const REST_MS = 30_000;
/** 59 MB with 100 identities, where a bare Node takes 54.3. */
const GOAL = 1.08;
const BARE =
  "require('node:tls'); require('node:http2'); process.stdout.write('up'); setInterval(() => {}, 1e6)";
const NAMES = Array.from({ length: IDENTITIES }, (_, index) => `app-${index}`);
const ACCOUNTS = NAMES.map(
  (name) => `apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: ${name}, namespace: default }`,
).join('\n---\n');

/** Resident size of a process, MB. */
function residentOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}

function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, REST_MS));
}

async function bareNode(): Promise<number> {
  const child = spawn(process.execPath, ['-e', BARE], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    if (child.stdout) await once(child.stdout, 'data');
    return residentOf(child.pid ?? 0);
  } finally {
    child.kill();
  }
}

/** The agent with so many identities, none of which has an Envoy. */
async function agentWith(names: readonly string[]): Promise<number> {
  const ends: (() => unknown)[] = [];
  const scope = { after: (end: unknown) => void ends.unshift(end as () => unknown) };
  const mesh = new RealMesh(scope, { isMeasured: true });
  try {
    await mesh.startServer();
    await mesh.apply(ACCOUNTS);
    const workloads = names.map((serviceAccount) => ({
      namespace: 'default',
      serviceAccount,
      mode: 'identity',
    }));
    await mesh.runAgent('agent', { workloads });
    await rest();
    return residentOf(await mesh.agentPid('agent'));
  } finally {
    for (const end of ends) await end();
  }
}

/** Ours over a process that does nothing. */
export async function bench(): Promise<BenchResult> {
  // The compile cache is warm on every machine that has run an agent before.
  const single = await agentWith(NAMES.slice(0, 1));
  const rounds: { readonly agent: number; readonly bare: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1)
    rounds.push({ bare: await bareNode(), agent: await agentWith(NAMES) });
  const ratios = rounds.map(({ agent, bare }) => agent / bare);
  const agent = median(rounds.map((one) => one.agent));
  const each = ((agent - single) / (IDENTITIES - 1)) * 1024;
  return {
    name: 'memory',
    numerator: { label: `agent with ${IDENTITIES} identities`, value: agent, unit: 'MB' },
    denominator: {
      label: 'Node with TLS and HTTP/2',
      value: median(rounds.map(({ bare }) => bare)),
      unit: 'MB',
    },
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: GOAL,
    note: `${single.toFixed(0)} MB with one identity, ${each.toFixed(0)} KB for each more`,
  };
}
