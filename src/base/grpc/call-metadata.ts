/** Milliseconds for each unit of `grpc-timeout` (grpc PROTOCOL-HTTP2, TimeoutUnit). */
const TIMEOUT_UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * Milliseconds of a `grpc-timeout` header: at most 8 digits and a unit; undefined when it is
 * malformed.
 */
export function parseGrpcTimeoutMs(text: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  if (!match) return undefined;
  return Number(match[1]) * (TIMEOUT_UNIT_MS[match[2] ?? ''] ?? Number.NaN);
}

/** Characters of a status message that reach the peer; the rest is cut off. */
const STATUS_MESSAGE_LENGTH_MAX = 1024;

/**
 * A status message as the `grpc-message` trailer carries it: UTF-8, all but printable ASCII
 * percent-encoded.
 */
export function encodeGrpcMessage(message: string): string {
  const bytes = Buffer.from(message.slice(0, STATUS_MESSAGE_LENGTH_MAX), 'utf8');
  let encoded = '';
  for (const byte of bytes) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** The text of a `grpc-message` trailer; as it is when it is not encoded well. */
export function decodeGrpcMessage(encoded: string): string {
  try {
    return decodeURIComponent(encoded).slice(0, STATUS_MESSAGE_LENGTH_MAX);
  } catch {
    return encoded.slice(0, STATUS_MESSAGE_LENGTH_MAX);
  }
}

/**
 * Whether a `content-type` is that of a gRPC request: `application/grpc`, alone or with `+proto` or
 * parameters.
 */
export function isGrpcContentType(text: string | undefined): boolean {
  return text !== undefined && /^application\/grpc(\+proto)?\s*(;|$)/i.test(text);
}
