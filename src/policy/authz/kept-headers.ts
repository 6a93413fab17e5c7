/** Headers of which Envoy keeps one text: several are put together with commas as they arrive. */
const JOINED: ReadonlySet<string> = new Set(
  [
    'accept accept-encoding access-control-request-headers access-control-request-method',
    'authorization cache-control cdn-loop content-encoding content-type expect',
    'grpc-accept-encoding grpc-timeout if-match if-modified-since if-none-match if-range',
    'if-unmodified-since origin pragma proxy-status referer user-agent via x-client-trace-id',
    'x-envoy-attempt-count x-envoy-decorator-operation x-envoy-downstream-service-cluster',
    'x-envoy-downstream-service-node x-envoy-external-address x-envoy-is-timeout-retry',
    'x-envoy-original-host x-envoy-original-path x-forwarded-for x-forwarded-host',
    'x-forwarded-port x-forwarded-proto x-request-id',
  ].flatMap((line) => line.split(' ')),
);

/** Headers about one connection, which no filter gets to see. */
const OF_CONNECTION: ReadonlySet<string> = new Set(['keep-alive', 'proxy-connection']);

/** What filters see of the values of a header; `name` in lower case. */
export function keptValues(name: string, values: readonly string[]): readonly string[] {
  if (OF_CONNECTION.has(name)) return [];
  return values.length > 1 && JOINED.has(name) ? [values.join(',')] : values;
}
