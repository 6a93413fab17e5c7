import type { Clock } from '#base/clock.ts';
import { GRPC_STATUS, type GrpcCall, GrpcStatusError } from '#base/grpc/grpc.ts';

interface Expiry {
  /** What the stream was opened with; its end in wall-clock milliseconds. */
  readonly certificate: { readonly notAfterAt: number };
  readonly clock: Clock;
  readonly end: (error: GrpcStatusError) => void;
}

/**
 * Ends a stream when the certificate that it was opened with is over. A connection that was opened
 * with one ends by itself then; one that many share does not.
 */
export function endAtExpiry(
  { signal }: Pick<GrpcCall, 'signal'>,
  { certificate, clock, end }: Expiry,
): void {
  const leftMs = Math.max(0, certificate.notAfterAt - clock.now());
  const error = new GrpcStatusError(GRPC_STATUS.unauthenticated, 'the certificate has expired');
  const timer = clock.after(leftMs, () => end(error));
  signal.addEventListener('abort', () => timer.cancel());
}
