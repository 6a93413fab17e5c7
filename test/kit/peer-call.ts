import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TestCertificate } from './test-authority.ts';

/** A call straight to a port of somebody's proxy, without one of one's own. */
export interface PeerCall {
  readonly port: number;
  readonly host?: string;
  /** With one: mutual TLS as proxies of the mesh speak it. Without: plaintext. */
  readonly certificate?: TestCertificate;
  /** Application protocols to offer. */
  readonly alpn?: readonly string[];
  /** The newest version of TLS that the caller speaks; the newest there is when left out. */
  readonly maxVersion?: 'TLSv1.2';
  /** The bytes to send. */
  readonly data: string;
}

/** What came back. */
export interface PeerAnswer {
  /** Everything until the other side closed, or until `enough` was seen. */
  readonly text: string;
  /** The error that ended the connection, if one did: `ECONNRESET`, an alert of TLS. */
  readonly error: string | undefined;
}

const ANSWER_MS_MAX = 15_000;

/**
 * Sends bytes and reads until the other side closes or `enough` is in what it says. Never rejects.
 */
export async function callPeer(call: PeerCall, enough: RegExp = /$^/): Promise<PeerAnswer> {
  let text = '';
  const socket = openPeer(call);
  try {
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy(new Error('no answer in time')));
    socket.write(call.data);
    for await (const chunk of socket) {
      text += String(chunk);
      if (enough.test(text)) break;
    }
    return { text, error: undefined };
  } catch (error) {
    return { text, error: error instanceof Error ? error.message : String(error) };
  } finally {
    socket.destroy();
  }
}

/** A connection as `callPeer` makes it, for more than one exchange. */
export function openPeer(call: PeerCall): Socket {
  const { port, host = '127.0.0.1', certificate, alpn, maxVersion } = call;
  if (!certificate) return connectTcp(port, host);
  return connectTls({
    port,
    host,
    cert: certificate.certificate,
    key: certificate.privateKey,
    ...(maxVersion && { maxVersion }),
    ALPNProtocols: [...(alpn ?? ['istio-http/1.1'])],
    // Whether the caller checks the server is not what is tested here.
    rejectUnauthorized: false,
  });
}

/** A plain HTTP/1.1 request that asks for the connection to be closed after its answer. */
export function httpRequest(
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = 'GET',
): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n${lines.join('')}\r\n`;
}

/** The status of an HTTP answer; 0 when there is none. */
export function statusOf({ text }: PeerAnswer): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
}

/**
 * Reads one HTTP/1.1 answer to its end from an open connection, which stays open. Gives its status.
 * @throws Error when the connection ends first
 */
export function exchange(socket: Socket, request: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = '';
    const end = (error?: Error): void => {
      // Paused, it keeps what comes next.
      socket.off('data', take).off('close', close).off('error', end).pause();
      if (error) reject(error);
      else resolve(statusOf({ text, error: undefined }));
    };
    const take = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      if (isWhole(text)) end();
    };
    const close = (): void => end(new Error('the connection ended before the answer'));
    socket.on('data', take).on('close', close).on('error', end).resume();
    if (socket.destroyed) close();
    else socket.write(request);
  });
}

/** Whether an answer is there with its body, whose length is told or which comes in chunks. */
function isWhole(text: string): boolean {
  const [head = '', body] = text.split(/\r\n\r\n(.*)/s);
  if (body === undefined) return false;
  const length = /^content-length: (\d+)$/im.exec(head)?.[1];
  return length === undefined ? body.endsWith('0\r\n\r\n') : body.length >= Number(length);
}
