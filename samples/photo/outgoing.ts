import { Agent, type IncomingMessage, request } from 'node:http';

/** What another service answered. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

const TIMEOUT_MS = 10_000;
const agent = new Agent({ keepAlive: true });

/**
 * Where to connect and what to ask there: the proxy with the whole address (RFC 9112 section
 * 3.2.2), or the host.
 */
function targetOf(url: URL): { hostname: string; port: string; path: string } {
  const proxy = process.env.http_proxy ?? process.env.HTTP_PROXY;
  if (!proxy) return { hostname: url.hostname, port: url.port, path: url.pathname + url.search };
  const { hostname, port } = new URL(proxy);
  return { hostname, port, path: url.href };
}

/**
 * Asks another service. Where http_proxy (or HTTP_PROXY) is set the request goes through it: in the
 * mesh that is the Envoy of this workload, which knows who may be asked and speaks mutual TLS for
 * us.
 * @throws Error when there is no answer
 */
export function ask(address: string, method = 'GET', body?: unknown): Promise<Answer> {
  const url = new URL(address);
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = request({
      ...targetOf(url),
      agent,
      method,
      headers: {
        host: url.host,
        ...(text === undefined ? {} : { 'content-type': 'application/json' }),
        ...(text === undefined ? {} : { 'content-length': Buffer.byteLength(text) }),
      },
      timeout: TIMEOUT_MS,
    });
    outgoing.on('response', (incoming) => void readAnswer(incoming).then(resolve, reject));
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${address} did not answer in time`)));
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}

async function readAnswer(incoming: IncomingMessage): Promise<Answer> {
  incoming.setEncoding('utf8');
  let body = '';
  for await (const chunk of incoming) body += String(chunk);
  return { status: incoming.statusCode ?? 0, body };
}
