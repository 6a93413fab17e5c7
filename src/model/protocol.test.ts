import assert from 'node:assert/strict';
import { test } from 'node:test';
import { declaredProtocol, parseProtocol } from '#model/protocol.ts';

test('the name of a port says what is spoken there', () => {
  const cases = {
    http: 'http',
    'http-web': 'http',
    'HTTP-web': 'http',
    http2: 'http2',
    grpc: 'grpc',
    'grpc-web': 'grpc-web',
    'grpc-web-x': 'grpc-web',
    'grpc-websocket': 'grpc',
    https: 'tls',
    tls: 'tls',
    tcp: 'tcp',
    'mongo-x': 'tcp',
    mysql: 'mysql',
    'smtp-relay': 'smtp',
    udp: 'udp',
    web: 'auto',
    httpx: 'auto',
    constructor: 'auto',
    '': 'auto',
  };
  for (const [name, protocol] of Object.entries(cases))
    assert.equal(declaredProtocol({ name, port: 8080 }), protocol, name);
});

test('appProtocol comes before the name, the transport before both', () => {
  assert.equal(declaredProtocol({ name: 'tcp', appProtocol: 'HTTP', port: 1 }), 'http');
  assert.equal(
    declaredProtocol({ name: 'tcp', appProtocol: 'kubernetes.io/h2c', port: 1 }),
    'http2',
  );
  assert.equal(declaredProtocol({ name: 'http', transport: 'UDP', port: 1 }), 'udp');
});

test('an appProtocol that is not known leaves it to the name', () => {
  assert.equal(declaredProtocol({ name: 'http', appProtocol: 'example.com/own', port: 1 }), 'http');
});

test('a well-known number counts only where nothing else does', () => {
  assert.equal(declaredProtocol({ port: 3306 }), 'mysql');
  assert.equal(declaredProtocol({ port: 25 }), 'smtp');
  assert.equal(declaredProtocol({ name: 'http', port: 3306 }), 'http');
});

test('words of ServiceEntry are taken in any case', () => {
  assert.equal(parseProtocol('HTTP2'), 'http2');
  assert.equal(parseProtocol('toString'), undefined);
});
