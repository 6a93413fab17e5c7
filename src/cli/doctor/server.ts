import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect, isIP } from 'node:net';
import { checkServerIdentity, connect as connectTls, type TLSSocket } from 'node:tls';
import { checkedAddress, required } from '#agent/agent-settings.ts';
import type { Clock } from '#base/clock.ts';
import { formatDurationMs } from '#base/duration.ts';
import { BulwarkError, systemCode } from '#base/errors.ts';
import { examine, type Finding } from '#cli/doctor/finding.ts';

export interface ServerOptions {
  /** HOST:PORT. */
  readonly address: string;
  readonly serverName: string;
  /** The file with the roots. */
  readonly caRoot: string | undefined;
}

const WAIT_MS = 5000;
/** Certificates are dated back by two minutes: beyond, a new one is not valid yet. */
const CLOCK_FAILED_MS = 120_000;
const CLOCK_WARNING_MS = 10_000;
/** The server tells whole seconds. */
const SECOND_MS = 1000;
const LOOK_AT_ROOT = 'set caRoot to the root-cert.pem of this server (DATA/root-cert.pem there)';

/** Looks at the way to the server: name, port, its certificate, its clock. */
export async function examineServer(
  options: ServerOptions,
  clock: Clock,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const step = async (...args: Parameters<typeof examine>): Promise<boolean> => {
    const finding = await examine(...args);
    findings.push(finding);
    return finding.state !== 'failed';
  };
  let socket: TLSSocket | undefined;
  const steps: [string, Parameters<typeof examine>[1]][] = [
    ['server address', () => resolveAddress(options)],
    ['server port', () => reach(options)],
    [
      'server certificate',
      async () => {
        socket = await handshake(options);
        return examineCertificate(socket, options);
      },
    ],
    ['clock', () => examineClock(socket, clock)],
  ];
  let isReached = true;
  for (const [check, look] of steps) {
    if (isReached) isReached = await step(check, look);
    else findings.push({ check, state: 'skipped', message: 'the check before it failed' });
  }
  socket?.destroy();
  return findings;
}

function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const text = checkedAddress(address);
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
}

async function resolveAddress({ address }: ServerOptions): Promise<string> {
  const { host } = hostAndPort(address);
  try {
    const found = await lookup(host, { all: true });
    return `${host} is ${found.map((one) => one.address).join(', ')}`;
  } catch (cause) {
    throw new BulwarkError('NET_CONNECTION_FAILED', `the name ${host} does not resolve`, {
      remedy: 'correct discoveryAddress, or the DNS or /etc/hosts of this machine',
      cause,
    });
  }
}

function reach({ address }: ServerOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      const why = systemCode(cause) ?? 'no answer';
      reject(
        new BulwarkError('NET_CONNECTION_FAILED', `${address} cannot be reached: ${why}`, {
          remedy: 'see that the server runs and listens there (bindAddress), and for firewalls',
          cause,
        }),
      );
      socket.destroy();
    };
    const socket = connect(hostAndPort(address));
    socket.setTimeout(WAIT_MS, () => fail(new Error('timeout')));
    socket.on('error', fail);
    socket.on('connect', () => {
      socket.destroy();
      resolve(`${address} answers`);
    });
  });
}

/** Verification comes afterwards, so that its outcome can be told. */
async function handshake({ address, serverName, caRoot }: ServerOptions): Promise<TLSSocket> {
  const file = required('caRoot', caRoot);
  const ca = await readFile(file, 'utf8').catch((cause: unknown) => {
    const message = `cannot read the root certificate ${file}`;
    throw new BulwarkError('FILES_UNREADABLE', message, { remedy: LOOK_AT_ROOT, cause });
  });
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      const message = 'there is no TLS handshake with the server';
      const remedy = 'see that discoveryAddress is its securePort (15012)';
      reject(new BulwarkError('NET_CONNECTION_FAILED', message, { remedy, cause }));
      socket.destroy();
    };
    const socket = connectTls({
      ...hostAndPort(address),
      ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
      ca,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    socket.setTimeout(WAIT_MS, () => fail(new Error('timeout')));
    socket.on('error', fail);
    socket.on('secureConnect', () => resolve(socket));
  });
}

function examineCertificate(
  socket: TLSSocket,
  { serverName }: ServerOptions,
): string | Omit<Finding, 'check'> {
  if (!socket.authorized) {
    const code = String(socket.authorizationError);
    const message = `it does not verify against caRoot: ${code}`;
    const isTime = code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID';
    const remedy = isTime ? 'compare the clocks of this machine and the server' : LOOK_AT_ROOT;
    return { state: 'failed', message, remedy };
  }
  const certificate = socket.getPeerCertificate();
  if (checkServerIdentity(serverName, certificate) !== undefined) {
    const names = certificate.subjectaltname ?? 'none';
    const message = `it is not for ${serverName}; its names: ${names.slice(0, 200)}`;
    return { state: 'failed', message, remedy: 'set discoveryServerName to one of its DNS names' };
  }
  return `for ${serverName}, until ${new Date(certificate.valid_to).toISOString()}`;
}

/** Any answer of the server tells its time. */
async function examineClock(
  socket: TLSSocket | undefined,
  clock: Clock,
): Promise<string | Omit<Finding, 'check'>> {
  const date = socket && (await dateOf(socket));
  const serverAt = Date.parse(date ?? '');
  if (Number.isNaN(serverAt))
    return { state: 'warning', message: 'the server does not tell its time' };
  const aheadMs = clock.now() - serverAt - SECOND_MS / 2;
  if (Math.abs(aheadMs) <= SECOND_MS) return 'that of the server, to the second';
  const side = aheadMs > 0 ? 'ahead of' : 'behind';
  const apartMs = Math.round(Math.abs(aheadMs) / SECOND_MS) * SECOND_MS;
  const message = `${formatDurationMs(apartMs)} ${side} the server`;
  if (Math.abs(aheadMs) < CLOCK_WARNING_MS) return message;
  const state = Math.abs(aheadMs) > CLOCK_FAILED_MS ? 'failed' : 'warning';
  return { state, message, remedy: 'run an NTP client on both machines' };
}

function dateOf(socket: TLSSocket): Promise<string | undefined> {
  return new Promise((resolve) => {
    const session = connectHttp2('https://server', { createConnection: () => socket });
    const done = (date?: string): void => {
      resolve(date);
      session.destroy();
    };
    session.on('error', () => done());
    const headers = { ':method': 'POST', ':path': '/', 'content-type': 'application/grpc' };
    const request = session.request(headers);
    request.setTimeout(WAIT_MS, () => done());
    request.on('error', () => done());
    request.on('response', ({ date }) => done(date));
    request.end();
  });
}
