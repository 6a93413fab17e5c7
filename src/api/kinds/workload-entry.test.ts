// Rules of WorkloadEntry and WorkloadGroup: each is met and broken.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorsOf, warningsOf } from '../../../test/kit/object-verdict.ts';

describe('a workload entry', () => {
  const entry = (spec: object) => ({ kind: 'WorkloadEntry', spec });
  const errors = (spec: object): string[] => errorsOf(entry(spec));

  test('has an address: IP, DNS name or socket', () => {
    for (const address of ['1.2.3.4', 'fd00::1', 'vm1.example.com', 'unix:///a', 'unix://@a']) {
      assert.deepEqual(errors({ address }), [], address);
    }
    assert.deepEqual(errors({}), ['spec.address: Required value: Address is required']);
    assert.match(errors({ address: 'not a host' })[0] ?? '', /IP address or a DNS name/);
    assert.match(errors({ address: 'unix://a' })[0] ?? '', /absolute path or abstract socket/);
    assert.match(errors({ address: 'unix:///a/' })[0] ?? '', /UDS may not be a dir/);
  });

  test('needs none in a network that is named, which is told', () => {
    assert.deepEqual(errors({ network: 'n2' }), []);
    assert.match(warningsOf(entry({ network: 'n2' }))[0] ?? '', /no address in the network "n2"/);
  });

  test('has ports by name, in range, and none on a socket', () => {
    const address = '1.2.3.4';
    assert.deepEqual(errors({ address, ports: { http: 80, 7777: 7777 } }), []);
    assert.match(errors({ address, ports: { http: 0 } })[0] ?? '', /port must be between 1-65535/);
    assert.match(errors({ address, ports: { http: 65_536 } })[0] ?? '', /ports\[http\]/);
    assert.match(errors({ address, ports: { 'a b': 80 } })[0] ?? '', /port name must be valid/);
    assert.match(errors({ address: 'unix:///a', ports: { a: 1 } })[0] ?? '', /may not include/);
  });

  test('has labels as objects have', () => {
    assert.deepEqual(errors({ address: '1.2.3.4', labels: { app: 'a' } }), []);
    assert.match(errors({ address: '1.2.3.4', labels: { app: 'a b' } })[0] ?? '', /valid label/);
  });

  test('has a spec', () => {
    assert.deepEqual(errorsOf({ kind: 'WorkloadEntry' }), ['spec: Required value']);
    assert.deepEqual(errorsOf({ kind: 'WorkloadEntry', spec: null }), ['spec: Required value']);
  });
});

describe('a workload group', () => {
  const errors = (spec: object): string[] => errorsOf({ kind: 'WorkloadGroup', spec });
  const probe = (fields: object): string[] => errors({ template: {}, probe: fields });

  test('has a template, which needs no address', () => {
    assert.deepEqual(errors({ template: { serviceAccount: 'a' } }), []);
    assert.deepEqual(errors({}), ['spec.template: Required value']);
    assert.match(errors({ template: { ports: { http: 0 } } })[0] ?? '', /between 1-65535/);
    const metadata = { labels: { 'a b': 'c' } };
    assert.match(errors({ template: {}, metadata })[0] ?? '', /^spec.metadata.labels/);
  });

  test('has a probe of one kind', () => {
    for (const way of [
      { httpGet: { port: 80, scheme: 'HTTPS' } },
      { tcpSocket: { port: 80 } },
      { exec: { command: ['true'] } },
      { grpc: { port: 80 } },
    ]) {
      assert.deepEqual(probe(way), []);
    }
    assert.match(probe({})[0] ?? '', /exactly one of httpGet, tcpSocket, exec, grpc/);
    const two = { tcpSocket: { port: 80 }, grpc: { port: 80 } };
    assert.match(probe(two)[0] ?? '', /exactly one of/);
  });

  test('has a probe that can be made', () => {
    assert.deepEqual(probe({ tcpSocket: {} }), ['spec.probe.tcpSocket.port: Required value']);
    assert.match(probe({ grpc: { port: 0 } })[0] ?? '', /between 1-65535/);
    assert.match(
      probe({ httpGet: { port: 80, scheme: 'FTP' } })[0] ?? '',
      /one of \[HTTP, HTTPS\]/,
    );
    assert.deepEqual(probe({ exec: { command: [] } }), ['spec.probe.exec.command: Required value']);
    const httpHeaders = [{ value: 'x' }];
    assert.match(probe({ httpGet: { port: 80, httpHeaders } })[0] ?? '', /httpHeaders\[0\].name/);
    assert.match(probe({ grpc: { port: 1 }, periodSeconds: -1 })[0] ?? '', /periodSeconds/);
  });
});
