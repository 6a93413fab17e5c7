import { request } from 'node:http';
import { request as requestByTls } from 'node:https';
import type { WorkloadStatus } from '#agent/status.ts';
import { askAgent } from '#cli/agent-status.ts';
import { usage } from '#cli/calls/call-spelling.ts';
import { endpointAt } from '#model/endpoints.ts';
import type { Call } from '#policy/decide/call.ts';
import { hostName } from '#policy/decide/enter-gateway.ts';

/** What became of a real request, or why none was sent. */
export type LiveAnswer =
  | { readonly decision: 'allow' | 'deny'; readonly saw: string }
  | { readonly skipped: string };

const ANSWER_MS_MAX = 10_000;
/** Bytes of an answer that are looked at: Envoy's own answers are short. */
const ANSWER_BYTES_MAX = 4096;
/** How Envoy says that it gets no connection, or one that breaks off. */
const NO_UPSTREAM = /^(upstream connect error|no healthy upstream)/;

/** Sends requests as the workloads of agents on this machine, by the HTTP proxies beside them. */
export class LiveCallers {
  readonly #workloads: readonly WorkloadStatus[];

  private constructor(workloads: readonly WorkloadStatus[]) {
    this.#workloads = workloads;
  }

  /** @throws BulwarkError CLI_USAGE when no agent answers in one of the run directories */
  static async of(runDirectories: readonly string[]): Promise<LiveCallers> {
    const workloads: WorkloadStatus[] = [];
    for (const directory of runDirectories) {
      const status = await askAgent(directory);
      if (!status) throw usage(`no agent answers in ${directory}`, 'name the run directory of one');
      workloads.push(...status.workloads);
    }
    return new LiveCallers(workloads);
  }

  /** Sends the request of a call, from where the call says that it comes. */
  async send(call: Call): Promise<LiveAnswer> {
    const outside = call.via ?? (call.to.entrance ? call : undefined);
    if (!outside) return this.#sendInMesh(call);
    const { layer, answer = '' } = call.route ?? {};
    if (layer?.outcome === 'deny' && !/^\d{3}/.test(answer))
      return { skipped: 'another service answers, as the application would' };
    return byRoute(await sendToGateway(outside), call.route);
  }

  async #sendInMesh(call: Call): Promise<LiveAnswer> {
    const { from, to: arrives, http: sent, token, route } = call;
    const http = route?.called.http ?? sent;
    const to = { ...arrives, ...route?.called };
    if (http === undefined) return { skipped: 'the port is not HTTP' };
    if (token !== undefined) return { skipped: 'nobody here can sign tokens' };
    if (to.assumed !== undefined && route?.answer === undefined)
      return { skipped: `nothing of ${to.service.host} runs` };
    const { method, target: path, host, headers = {} } = http;
    const common = { method, headers: { ...headers, host: host ?? to.service.host } };
    if (from.identity === undefined) {
      const port = endpointAt(to.port, to.workload)?.port;
      return ask({ ...common, host: to.workload.address, port, path });
    }
    const caller = this.#workloads.find(({ identity }) => identity === from.identity);
    if (!caller?.ports) return { skipped: `${from.identity} does not run here, or has no proxy` };
    const url = `http://${to.service.host}:${to.port.port}${path}`;
    const port = caller.ports.httpProxyPort;
    return byRoute(await ask({ ...common, host: '127.0.0.1', port, path: url }), route);
  }
}

/** As somebody outside of the mesh would, to the address where the gateway says that it is. */
function sendToGateway({ from, to, http, token }: Call): Promise<LiveAnswer> | LiveAnswer {
  const { workload, workloadPort: port, assumed, entrance, port: called } = to;
  if (http === undefined || called.protocol !== 'http') return { skipped: 'the port is not HTTP' };
  if (token !== undefined) return { skipped: 'nobody here can sign tokens' };
  if (assumed !== undefined) return { skipped: `nothing of ${to.service.host} runs` };
  if (from.identity !== undefined || from.certificate !== undefined)
    return { skipped: 'nobody here can show such a certificate to a gateway' };
  const { method, target: path, host = '', headers = {} } = http;
  const where = { host: workload.address, port, path, method };
  const tls = entrance?.toldBy === 'serverName' ? { servername: hostName(host) } : undefined;
  return ask({ ...where, headers: { ...headers, host }, ...(tls && { tls }) });
}

/** An answer that the caller's own proxy gives is not the application's. */
function byRoute(answer: LiveAnswer, route: Call['route']): LiveAnswer {
  if ('skipped' in answer || route?.layer.outcome !== 'deny') return answer;
  return route.answer?.startsWith(answer.saw) ? { ...answer, decision: 'deny' } : answer;
}

/** One request, on a connection of its own. */
function ask(options: {
  readonly host: string;
  readonly port: number | undefined;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** Whether it is asked by TLS, and for which name; what policies say is tested, not who it is. */
  readonly tls?: { readonly servername: string };
}): Promise<LiveAnswer> {
  const headers = Object.fromEntries(
    // Node takes one value of Host as a text only.
    Object.entries(options.headers).map(([name, value]) => {
      return [name, typeof value === 'string' ? value : [...value]];
    }),
  );
  return new Promise((resolve) => {
    const broken = (error: Error): void =>
      resolve({ decision: 'deny', saw: `no answer: ${error.message}` });
    const { tls, ...where } = options;
    const make = tls ? requestByTls : request;
    const secured = tls && { ...tls, rejectUnauthorized: false };
    const sent = make({ ...where, ...secured, headers, agent: false }, (response) => {
      const { statusCode: status = 0 } = response;
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body = (body + text).slice(0, ANSWER_BYTES_MAX);
      });
      response.on('error', broken);
      response.on('end', () => resolve({ decision: decisionOf(status, body), saw: `${status}` }));
    });
    sent.setTimeout(ANSWER_MS_MAX, () => sent.destroy(new Error('no answer in time')));
    sent.on('error', broken);
    sent.end();
  });
}

/** `<code>:<handler>.<namespace>:<message>` */
const DENIED_BY_MIXER = /^[A-Z_]+:[a-z0-9.-]+\.[a-z0-9-]+:/;

/** Answers of the application itself, whatever they are, mean that it was asked. */
function decisionOf(status: number, body: string): 'allow' | 'deny' {
  if (status === 403 && body.startsWith('RBAC: access denied')) return 'deny';
  if (status >= 400 && DENIED_BY_MIXER.test(body)) return 'deny';
  if (status === 401 && /^Jwt|^Jwks/.test(body)) return 'deny';
  return status === 503 && NO_UPSTREAM.test(body) ? 'deny' : 'allow';
}
