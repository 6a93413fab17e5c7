import { isBulwarkError } from '#base/errors.ts';
import { GRPC_STATUS, type GrpcStatusCode } from '#base/grpc/grpc.ts';
import type { SignError } from '#ca/metrics.ts';

/** How a failure is answered and counted. */
export interface CsrRefusal {
  readonly status: GrpcStatusCode;
  /** Says what the caller can mend and nothing of how we work. */
  readonly message: string;
  readonly isUnreadable: boolean;
  readonly error: SignError | undefined;
  /** After how many milliseconds it may be tried again, when that would help. */
  readonly retryMs?: number;
}

/**
 * The answer to a caller who proved who it is but gets no certificate; undefined for an error that
 * is not foreseen.
 */
export function refusalOf(error: unknown): CsrRefusal | undefined {
  if (!isBulwarkError(error)) return undefined;
  switch (error.code) {
    case 'CA_UNAUTHENTICATED':
      return {
        status: GRPC_STATUS.unauthenticated,
        message: 'request impersonation authentication failure',
        isUnreadable: false,
        error: undefined,
      };
    case 'CA_IMPERSONATION_REFUSED':
      return {
        status: GRPC_STATUS.unauthenticated,
        message: 'request impersonation authentication failure',
        isUnreadable: false,
        error: undefined,
      };
    case 'CA_INTERMEDIATE_REFUSED':
      return signing(GRPC_STATUS.permissionDenied, error.message, 'INTERMEDIATE_REFUSED');
    case 'CA_LISTS_REFUSED':
      return signing(GRPC_STATUS.permissionDenied, error.message, 'LISTS_REFUSED');
    case 'PKI_MALFORMED':
      return unreadable('certificate signing request is not properly encoded');
    case 'PKI_UNSUPPORTED':
      return unreadable('certificate signing request has an unsupported or weak key or signature');
    case 'PKI_VERIFY_FAILED':
      return unreadable('certificate signing request is not signed by its own key');
    case 'CA_CSR_INVALID':
      return unreadable('certificate signing request is not acceptable');
    case 'CA_TTL_TOO_LONG':
      return signing(GRPC_STATUS.invalidArgument, error.message, 'TTL_ERROR');
    case 'CA_RATE_LIMITED': {
      const retryMs = Number(error.data.retryMs);
      const reason = `too many certificates for this identity; try again in ${retryMs} ms`;
      return { ...signing(GRPC_STATUS.resourceExhausted, reason, 'RATE_LIMITED'), retryMs };
    }
    case 'CA_JOURNAL_FAILED':
      return signing(GRPC_STATUS.unavailable, 'certificate could not be recorded', 'NOT_RECORDED');
    case 'CA_KEY_UNUSABLE':
      return signing(GRPC_STATUS.internal, 'certificate authority is not ready', 'CA_NOT_READY');
    case 'CA_SIGN_FAILED':
      return signing(GRPC_STATUS.internal, 'certificate could not be generated', 'CERT_GEN_ERROR');
    default:
      return undefined;
  }
}

function unreadable(reason: string): CsrRefusal {
  return { ...signing(GRPC_STATUS.invalidArgument, reason, 'CSR_ERROR'), isUnreadable: true };
}

function signing(status: GrpcStatusCode, reason: string, error: SignError): CsrRefusal {
  return { status, message: `CSR signing error (${reason})`, isUnreadable: false, error };
}
