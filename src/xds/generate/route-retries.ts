import { create } from '@bufbuild/protobuf';
import type { HttpRoute } from '#api/kinds/virtual-service-route.ts';
import { parseDurationMs } from '#base/duration.ts';
import {
  type RetryPolicy,
  RetryPolicySchema,
} from '#gen/envoy-api/envoy/config/route/v3/route_components_pb.js';
import { PreviousHostsPredicateSchema } from '#gen/envoy-api/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js';
import { duration, type Init, typedConfig } from '#xds/generate/proto-values.ts';

const OTHER_ENDPOINTS: Init<typeof RetryPolicySchema> = {
  retryHostPredicate: [
    {
      name: 'envoy.retry_host_predicates.previous_hosts',
      configType: typedConfig(PreviousHostsPredicateSchema, {}),
    },
  ],
  hostSelectionRetryMaxAttempts: 5n,
};

/** What may be tried again without harm: the request did not reach the application. */
const HARMLESS = 'connect-failure,refused-stream,reset-before-request,unavailable,cancelled';

/**
 * Where nobody says anything else: twice, as Istio does, at other endpoints where there are any.
 */
export const RETRIES: RetryPolicy = create(RetryPolicySchema, {
  retryOn: HARMLESS,
  numRetries: 2,
  ...OTHER_ENDPOINTS,
});

/** What a VirtualService says of retries; undefined = nothing is tried again. */
export function retryPolicy(retries: HttpRoute['retries']): RetryPolicy | undefined {
  if (!retries) return RETRIES;
  const { attempts = 0, retryOn, perTryTimeout, backoff, retryIgnorePreviousHosts } = retries;
  if (attempts <= 0) return undefined;
  const conditions = (retryOn || HARMLESS).split(',').map((word) => word.trim());
  const statuses = conditions.filter((word) => /^[1-5]\d\d$/.test(word));
  const words = conditions.filter((word) => !statuses.includes(word));
  if (statuses.length > 0 && !words.includes(BY_STATUS)) words.push(BY_STATUS);
  const perTryMs = perTryTimeout === undefined ? 0 : (parseDurationMs(perTryTimeout) ?? 0);
  const backoffMs = backoff === undefined ? 0 : (parseDurationMs(backoff) ?? 0);
  return create(RetryPolicySchema, {
    retryOn: words.join(','),
    numRetries: attempts,
    retriableStatusCodes: statuses.map(Number),
    ...(perTryMs > 0 && { perTryTimeout: duration(perTryMs) }),
    ...(backoffMs > 0 && { retryBackOff: { baseInterval: duration(backoffMs) } }),
    ...(retryIgnorePreviousHosts !== false && OTHER_ENDPOINTS),
  });
}

const BY_STATUS = 'retriable-status-codes';
