import assert from 'node:assert/strict';
import test from 'node:test';
import { encodeGrpcMessage, isGrpcContentType, parseGrpcTimeoutMs } from './call-metadata.ts';

test('time-outs have at most 8 digits and a unit', () => {
  const cases: readonly [string, number | undefined][] = [
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['250m', 250],
    ['1500u', 1.5],
    ['99999999n', 99.999999],
    ['0m', 0],
    ['100000000S', undefined],
    ['', undefined],
    ['S', undefined],
    ['1', undefined],
    ['-1S', undefined],
    ['1.5S', undefined],
    ['1s', undefined],
    [' 1S', undefined],
  ];
  for (const [text, expected] of cases) assert.equal(parseGrpcTimeoutMs(text), expected, text);
});

test('status messages are percent-encoded UTF-8 and of bounded length', () => {
  assert.equal(encodeGrpcMessage('no such method'), 'no such method');
  assert.equal(encodeGrpcMessage('50% of é\n'), '50%25 of %C3%A9%0A');
  assert.equal(decodeURIComponent(encodeGrpcMessage('a\r\nb: ünï%')), 'a\r\nb: ünï%');
  assert.equal(encodeGrpcMessage('x'.repeat(5000)).length, 1024);
});

test('only gRPC content types with protobuf are taken', () => {
  for (const text of ['application/grpc', 'application/grpc+proto', 'application/grpc;charset=x'])
    assert.equal(isGrpcContentType(text), true, text);
  for (const text of [
    undefined,
    '',
    'application/json',
    'application/grpc-web',
    'application/grpc+json',
  ])
    assert.equal(isGrpcContentType(text), false, String(text));
});
