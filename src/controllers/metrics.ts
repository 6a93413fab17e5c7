import type { Metrics } from '#base/metrics.ts';
import { REWRITE_REASONS, type RewriteReason } from '#controllers/account-secret.ts';

/**
 * The metrics of the Secrets of service accounts; Citadel's names, where it has one.
 * @param earliestExpiry when the first certificate in a Secret expires, wall-clock milliseconds;
 *   undefined when there is none
 */
export function declareSecretMetrics(metrics: Metrics, earliestExpiry: () => number | undefined) {
  const counter = (name: string, help: string) => {
    const declared = metrics.counter({ name: `citadel_secret_controller_${name}_count`, help });
    return { add: (): void => declared.inc() };
  };
  const writes = metrics.counter({
    name: 'bulwark_secret_controller_writes_total',
    help: 'Secrets of service accounts that were written, by the reason.',
    labels: ['reason'],
  });
  for (const reason of REWRITE_REASONS) writes.inc({ reason }, 0);
  const failures = metrics.counter({
    name: 'bulwark_secret_controller_failures_total',
    help: 'Attempts to bring the Secret of a service account into its state that failed.',
  });
  metrics.gaugeOf(
    {
      name: 'bulwark_secret_controller_earliest_expiry_timestamp',
      help: 'When the first certificate in a Secret expires, in seconds since 1970; +Inf = none.',
    },
    () => (earliestExpiry() ?? Number.POSITIVE_INFINITY) / 1000,
  );
  return {
    created: counter('svc_acc_created_cert', 'Certificates made for service accounts.'),
    accountDeleted: counter(
      'svc_acc_deleted_cert',
      'Certificates taken away because their service account was deleted.',
    ),
    secretDeleted: counter(
      'secret_deleted_cert',
      'Certificates made again because somebody deleted their Secret.',
    ),
    csrErrors: counter('csr_err', 'Keys for a Secret that could not be made.'),
    signErrors: counter('csr_sign_err', 'Certificates for a Secret that were not signed.'),
    writes: { add: (reason: RewriteReason): void => writes.inc({ reason }) },
    failures: { add: (): void => failures.inc() },
  };
}

/** The metrics that `declareSecretMetrics` declared. */
export type SecretMetrics = ReturnType<typeof declareSecretMetrics>;
