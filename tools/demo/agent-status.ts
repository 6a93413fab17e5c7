import { request } from 'node:http';
import { join } from 'node:path';
import type { AgentStatus, WorkloadStatus } from '#agent/status.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** A workload as the demo needs it. */
export interface WorkloadView {
  readonly identity: SpiffeId;
  readonly serial: string;
  readonly notAfter: string;
  readonly httpProxyPort: number;
  /** Where peers reach its Envoy. */
  readonly inbound: { readonly address: string; readonly port: number };
  readonly adminSocket: string;
  readonly refusals: WorkloadStatus['refusals'];
}

/** Reads the status of one agent, and statistics of its Envoys, over their unix sockets. */
export class AgentStatusReader {
  readonly #socket: string;
  #status: AgentStatus | undefined;

  constructor(runDirectory: string) {
    this.#socket = join(runDirectory, 'status.sock');
  }

  async refresh(): Promise<void> {
    this.#status = JSON.parse(await get(this.#socket, '/status')) as AgentStatus;
  }

  workload(name: string): WorkloadView {
    const found = this.#status?.workloads.find((workload) => workload.name === name);
    const { certificate, ports } = found ?? {};
    if (!found?.adminSocket || !certificate || !ports)
      throw new Error(`the agent has no workload ${name}`);
    return {
      identity: found.identity as SpiffeId,
      serial: certificate.serial,
      notAfter: certificate.notAfter,
      httpProxyPort: ports.httpProxyPort,
      inbound: { address: ports.inboundAddress, port: ports.inbound[0]?.listen ?? 0 },
      adminSocket: found.adminSocket,
      refusals: found.refusals,
    };
  }

  /**
   * The sum of the statistics of a workload's Envoy whose `name: value` lines match; the first
   * group is the value.
   */
  async statistic(name: string, pattern: RegExp): Promise<number> {
    const text = await get(this.workload(name).adminSocket, '/stats');
    const values = [...text.matchAll(new RegExp(pattern.source, 'gm'))];
    return values.reduce((sum, [, value]) => sum + Number(value), 0);
  }
}

function get(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve(Buffer.concat(chunks).toString()));
    });
    sent.on('error', reject);
    sent.end();
  });
}
