// Rules of the kinds of Kubernetes: Service, ConfigMap, Secret, Namespace, ServiceAccount.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorsOf } from '../../../test/kit/object-verdict.ts';

describe('a Service', () => {
  const errors = (spec: object): string[] => errorsOf({ kind: 'Service', spec });
  const ports = (...list: object[]): string[] => errors({ ports: list });

  test('has ports, unless it is headless or a name', () => {
    assert.deepEqual(ports({ port: 80 }), []);
    assert.deepEqual(errors({}), ['spec.ports: Required value']);
    assert.deepEqual(errorsOf({ kind: 'Service' }), ['spec.ports: Required value']);
    assert.deepEqual(errors({ clusterIP: 'None' }), []);
    assert.deepEqual(errors({ type: 'ExternalName', externalName: 'db.example.com.' }), []);
  });

  test('has ports in range, with names when there are several, each once', () => {
    assert.deepEqual(ports({ port: 80, name: 'a' }, { port: 81, name: 'b' }), []);
    assert.deepEqual(ports({ port: 0 }), [
      'spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
    ]);
    assert.match(ports({ port: 65_536 })[0] ?? '', /between 1 and 65535/);
    assert.deepEqual(ports({ port: 80 }, { port: 81, name: 'b' }), [
      'spec.ports[0].name: Required value',
    ]);
    assert.match(ports({ port: 80, name: 'A' })[0] ?? '', /RFC 1123 label/);
    assert.deepEqual(ports({ port: 80, name: 'a' }, { port: 81, name: 'a' }), [
      'spec.ports[1].name: Duplicate value: "a"',
    ]);
    const udp = { port: 80, name: 'b', protocol: 'UDP' };
    assert.deepEqual(ports({ port: 80, name: 'a' }, udp), []);
    assert.deepEqual(ports({ port: 80, name: 'a' }, { ...udp, protocol: 'TCP' }), [
      'spec.ports[1]: Duplicate value: {"port":80,"protocol":"TCP"}',
    ]);
    assert.match(ports({ port: 80, protocol: 'ICMP' })[0] ?? '', /"SCTP", "TCP", "UDP"/);
  });

  test('leads to ports by number or name', () => {
    for (const targetPort of [8080, 'http', 'a1-b', 0, '']) {
      assert.deepEqual(ports({ port: 80, targetPort }), []);
    }
    for (const targetPort of [-1, 70_000, 'Http', '80', 'a--b', 'x'.repeat(16)]) {
      assert.equal(ports({ port: 80, targetPort }).length, 1, String(targetPort));
    }
    assert.deepEqual(ports({ port: 80, appProtocol: 'kubernetes.io/h2c' }), []);
    assert.match(ports({ port: 80, appProtocol: 'a b' })[0] ?? '', /appProtocol/);
  });

  test('has node ports only where nodes listen', () => {
    const port = { port: 80, nodePort: 30_080 };
    assert.deepEqual(errors({ type: 'NodePort', ports: [port] }), []);
    assert.match(ports(port)[0] ?? '', /may not be used when `type` is 'ClusterIP'/);
  });

  test('has addresses that are some, and go with its type', () => {
    const list = [{ port: 80 }];
    assert.deepEqual(errors({ ports: list, clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'] }), []);
    assert.match(errors({ ports: list, clusterIP: 'x' })[0] ?? '', /^spec.clusterIP: /);
    assert.match(errors({ ports: list, clusterIPs: ['10.0.0.1'] })[0] ?? '', /must match/);
    assert.match(errors({ ports: list, externalIPs: ['x'] })[0] ?? '', /externalIPs\[0\]/);
    const ranges = { ports: list, loadBalancerSourceRanges: ['10.0.0.0/8', '1.2.3.4'] };
    assert.match(errors(ranges)[0] ?? '', /loadBalancerSourceRanges\[1\]/);
    const headless = { type: 'NodePort', clusterIP: 'None', ports: list };
    assert.match(errors(headless)[0] ?? '', /may not be 'None'/);
    assert.match(errors({ type: 'ExternalName' })[0] ?? '', /spec.externalName: Required/);
    assert.match(errors({ type: 'ExternalName', externalName: 'A' })[0] ?? '', /subdomain/);
    const named = { type: 'ExternalName', externalName: 'a', clusterIP: '10.0.0.1' };
    assert.match(errors(named)[0] ?? '', /spec.clusterIP: Forbidden/);
  });

  test('keeps callers where they were for a bounded time, when asked', () => {
    const sticky = (sessionAffinity: string, timeoutSeconds: number): string[] =>
      errors({
        ports: [{ port: 80 }],
        sessionAffinity,
        sessionAffinityConfig: { clientIP: { timeoutSeconds } },
      });
    assert.deepEqual(sticky('ClientIP', 60), []);
    assert.match(sticky('ClientIP', 0)[0] ?? '', /greater than 0 and less than 86400/);
    assert.match(sticky('ClientIP', 86_401)[0] ?? '', /timeoutSeconds/);
    assert.match(sticky('None', 60)[0] ?? '', /must not be set/);
  });

  test('selects by labels, and has a name that is one label', () => {
    const spec = { ports: [{ port: 80 }], selector: { app: 'a b' } };
    assert.match(errors(spec)[0] ?? '', /^spec.selector: .*valid label/);
    const named = (name: string) =>
      errorsOf({ kind: 'Service', metadata: { name }, spec: { ports: [{ port: 80 }] } });
    assert.deepEqual(named('1a'), []);
    assert.deepEqual(named('a.b'), ['metadata.name: Invalid value: "a.b": must not contain dots']);
  });
});

describe('data', () => {
  test('has keys that can be file names, once in a ConfigMap', () => {
    const errors = (fields: object): string[] => errorsOf({ kind: 'ConfigMap', ...fields });
    assert.deepEqual(errors({ data: { 'a.b': 'x' }, binaryData: { c: 'eA==' } }), []);
    assert.deepEqual(errors({ data: { '..': 'x' } }), [
      `data[..]: Invalid value: "..": must not be '..'`,
    ]);
    assert.deepEqual(errors({ data: { k: 'x' }, binaryData: { k: 'AA==' } }), [
      'data[k]: Invalid value: "k": duplicate of key present in binaryData',
    ]);
  });

  test('is at most a megabyte', () => {
    const half = 'x'.repeat(512 * 1024);
    const tooLong = /Too long: may not be more than 1048576 bytes/;
    assert.deepEqual(errorsOf({ kind: 'ConfigMap', data: { a: half, b: half } }), []);
    assert.match(
      errorsOf({ kind: 'ConfigMap', data: { a: half, b: `${half}x` } })[0] ?? '',
      tooLong,
    );
    assert.deepEqual(errorsOf({ kind: 'Secret', stringData: { a: half } }), []);
    const encoded = Buffer.from(`${half}${half}`).toString('base64');
    assert.deepEqual(errorsOf({ kind: 'Secret', data: { a: encoded } }), []);
    const both = { data: { a: encoded }, stringData: { b: 'x' } };
    assert.match(errorsOf({ kind: 'Secret', ...both })[0] ?? '', tooLong);
  });
});

describe('a Secret', () => {
  const errors = (fields: object, metadata: Readonly<Record<string, unknown>> = {}): string[] =>
    errorsOf({ kind: 'Secret', metadata, ...fields });

  test('has data in base64, or text', () => {
    assert.deepEqual(errors({ data: { a: 'aGk=' }, stringData: { b: 'hi' } }), []);
    assert.match(errors({ data: { a: 'not base64' } })[0] ?? '', /^data\[a\]: .*type byte/);
  });

  test('never has its values repeated in what is wrong with it', () => {
    const value = 'hunter2 is secret';
    const wrong = [
      { data: { a: value } },
      { data: { 'a b': Buffer.from(value).toString('base64') } },
      { stringData: { 'a b': value } },
      { data: { a: [value] } },
      { data: [value] },
      { stringData: value },
      { stringData: { a: { [value]: value } } },
    ];
    for (const fields of wrong) {
      const found = errors(fields);
      assert.ok(found.length > 0);
      assert.doesNotMatch(found.join(), /hunter2|aHVudGVy/);
    }
  });

  test('has what its type says', () => {
    const tls = { type: 'kubernetes.io/tls', data: { 'tls.crt': '', 'tls.key': '' } };
    assert.deepEqual(errors(tls), []);
    assert.deepEqual(errors({ type: 'kubernetes.io/tls' }), [
      'data[tls.crt]: Required value',
      'data[tls.key]: Required value',
    ]);
    assert.deepEqual(
      errors({ type: 'kubernetes.io/basic-auth', stringData: { username: 'u' } }),
      [],
    );
    assert.deepEqual(errors({ type: 'kubernetes.io/basic-auth' }), [
      'data[username]: Required value',
      'data[password]: Required value',
    ]);
    assert.deepEqual(errors({ type: 'example.com/own' }), []);
    const type = 'kubernetes.io/service-account-token';
    const name = 'kubernetes.io/service-account.name';
    assert.deepEqual(errors({ type }, { annotations: { [name]: 'sa' } }), []);
    assert.deepEqual(errors({ type }), [`metadata.annotations[${name}]: Required value`]);
  });
});

test('a Namespace has a label for a name, and finalizers with a domain', () => {
  assert.deepEqual(
    errorsOf({ kind: 'Namespace', spec: { finalizers: ['kubernetes', 'a.b/c'] } }),
    [],
  );
  assert.match(
    errorsOf({ kind: 'Namespace', spec: { finalizers: ['x'] } })[0] ?? '',
    /neither a standard finalizer name/,
  );
  assert.match(errorsOf({ kind: 'Namespace', metadata: { name: 'a.b' } })[0] ?? '', /dots/);
});

test('a ServiceAccount lists each Secret once', () => {
  const kind = 'ServiceAccount';
  assert.deepEqual(errorsOf({ kind, metadata: { name: 'a.b' }, secrets: [{ name: 'a' }] }), []);
  assert.deepEqual(errorsOf({ kind, secrets: [{ name: 'a' }, { name: 'a' }] }), [
    'secrets[1]: Duplicate value: {"name":"a"}',
  ]);
});
