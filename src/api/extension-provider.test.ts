import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMeshConfig } from '#api/mesh-config.ts';

/** Messages about a list of providers, and whether the text is taken. */
function problems(...providers: readonly object[]): string[] {
  const text = JSON.stringify({ extensionProviders: providers });
  return readMeshConfig(text, 'mesh').diagnostics.map(({ field, message }) => {
    return `${field.replace('mesh.extensionProviders', '')}: ${message}`;
  });
}

const http = (more: object) => ({
  name: 'a',
  envoyExtAuthzHttp: { service: 's', port: 1, ...more },
});

test('providers are read as Istio writes them', () => {
  assert.deepEqual(
    problems(
      http({ timeout: '1.5s', statusOnError: '503', pathPrefix: '/check', failOpen: true }),
      { name: 'b', envoyExtAuthzGrpc: { service: 'ns/s', port: 65_535 } },
      {
        name: 'c',
        envoyExtAuthzHttp: {
          service: 's',
          port: 1,
          includeRequestHeadersInCheck: ['x', 'x-*', '*-x', '*'],
        },
      },
    ),
    [],
  );
});

test('a provider of another kind is no error', () => {
  const [message] = problems({ name: 'tracing', zipkin: { service: 's', port: 1 } });
  assert.match(message ?? '', /unknown field/);
  const text = 'extensionProviders: [{ name: t, zipkin: {} }]\nenableAutoMtls: false';
  assert.equal(readMeshConfig(text, 'mesh').config.enableAutoMtls, false);
});

test('what Envoy would refuse is refused', () => {
  const grpc = { service: 's', port: 1 };
  for (const [provider, expected] of [
    [{ name: 'a', envoyExtAuthzHttp: { port: 1 } }, /service: Required/],
    [http({ port: 0 }), /port: /],
    [http({ timeout: 'soon' }), /timeout: .*duration/],
    [http({ timeout: '0s' }), /timeout: .*greater than 1ms/],
    [http({ statusOnError: '299' }), /statusOnError: .*HTTP status/],
    [http({ statusOnError: 'x' }), /statusOnError: .*HTTP status/],
    [http({ pathPrefix: 'check' }), /pathPrefix: .*begin with/],
    [http({ headersToUpstreamOnAllow: ['x-*-y'] }), /headersToUpstreamOnAllow\[0\]: .*one `\*`/],
    [http({ includeRequestBodyInCheck: {} }), /maxRequestBytes: Required/],
    [http({ includeRequestBodyInCheck: { maxRequestBytes: 0 } }), /maxRequestBytes: /],
    [{ ...http({}), envoyExtAuthzGrpc: grpc }, /over HTTP or over gRPC/],
  ] as const)
    assert.match(problems(provider)[0] ?? '', expected);
  assert.match(problems(http({}), http({}))[0] ?? '', /\[1\]\.name: Duplicate/);
});
