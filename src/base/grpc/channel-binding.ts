import type { ServerHttp2Session } from 'node:http2';
import { TLSSocket } from 'node:tls';

const LABEL = 'EXPORTER-Channel-Binding';
const LENGTH = 32;

/**
 * What tells an HTTP/2 connection from all others, the same at both ends and known to them alone
 * (`tls-exporter` of RFC 9266); undefined where there is no TLS 1.3, with which alone it is unique.
 */
export function channelBinding({
  socket,
}: Pick<ServerHttp2Session, 'socket'>): Uint8Array | undefined {
  if (!(socket instanceof TLSSocket) || socket.getProtocol() !== 'TLSv1.3') return undefined;
  return socket.exportKeyingMaterial(LENGTH, LABEL, Buffer.alloc(0));
}
