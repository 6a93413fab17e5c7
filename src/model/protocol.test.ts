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

test('an appProtocol that is not known says that nothing is, whatever the name', () => {
  const own = { name: 'http', appProtocol: 'example.com/own' };
  assert.equal(declaredProtocol({ ...own, port: 1 }), 'auto');
  assert.equal(declaredProtocol({ ...own, port: 3306 }), 'mysql');
});

test('an appProtocol may have a suffix, as a name may', () => {
  assert.equal(declaredProtocol({ name: 'tcp', appProtocol: 'https-web', port: 1 }), 'tls');
  assert.equal(declaredProtocol({ name: 'tcp', appProtocol: 'grpc-web-x', port: 1 }), 'grpc-web');
});

test('a well-known number counts only where nothing else does', () => {
  assert.equal(declaredProtocol({ port: 3306 }), 'mysql');
  assert.equal(declaredProtocol({ port: 25 }), 'smtp');
  assert.equal(declaredProtocol({ name: 'http', port: 3306 }), 'http');
});

test('words of ServiceEntry are taken in any case', () => {
  assert.equal(parseProtocol('HTTP2'), 'http2');
  assert.equal(parseProtocol('HTTP_PROXY'), 'http');
  assert.equal(parseProtocol('toString'), undefined);
});
