import { join } from 'node:path';
import { EnvoyAdmin } from '#agent/envoy/admin-client.ts';
import type { AgentStatus } from '#agent/status.ts';

/** The status socket of the agent of a run directory. */
export function statusSocket(runDirectory: string): string {
  return join(runDirectory, 'status.sock');
}

/** What the agent of a run directory says of itself; undefined when none answers. */
export async function askAgent(runDirectory: string): Promise<AgentStatus | undefined> {
  try {
    const { status, body } = await new EnvoyAdmin(statusSocket(runDirectory)).get('/status');
    return status === 200 ? (JSON.parse(body) as AgentStatus) : undefined;
  } catch {
    return undefined; // the caller says so
  }
}
