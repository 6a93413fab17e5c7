// Rules of ServiceEntry: each is met and broken.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorsOf, warningsOf } from '../../../test/kit/object-verdict.ts';

const http = { number: 80, name: 'http', protocol: 'HTTP' };
const tcp = { number: 9000, name: 'tcp', protocol: 'TCP' };
const entry = (fields: object) => ({
  kind: 'ServiceEntry',
  metadata: { namespace: 'shop' },
  spec: { hosts: ['a.example.com'], ports: [http], resolution: 'DNS', ...fields },
});
const errors = (fields: object): string[] => errorsOf(entry(fields));
const warnings = (fields: object): string[] => warningsOf(entry(fields));

describe('hosts', () => {
  test('are names, with wildcards for whole labels, and never all names', () => {
    assert.deepEqual(errors({ hosts: ['a.com'] }), []);
    assert.deepEqual(errors({ hosts: ['*.a.com'], resolution: 'NONE' }), []);
    assert.match(errors({ hosts: ['*'], resolution: 'NONE' })[0] ?? '', /cannot be wildcard/);
    assert.match(errors({ hosts: ['a..com'] })[0] ?? '', /^spec.hosts\[0\]: .*no DNS label/);
    assert.match(errors({ hosts: [] })[0] ?? '', /at least 1 items/);
    const partial = warnings({ hosts: ['*a.com'], resolution: 'NONE' });
    assert.match(partial[0] ?? '', /does not stand for whole labels/);
  });

  test('of several are told apart by HTTP or TLS', () => {
    const hosts = ['a.com', 'b.com'];
    assert.deepEqual(errors({ hosts }), []);
    assert.match(errors({ hosts, ports: [tcp] })[0] ?? '', /must be HTTP or TLS/);
    assert.match(errors({ hosts, ports: [{ number: 1, name: 'a' }] })[0] ?? '', /HTTP or TLS/);
    assert.deepEqual(errors({ hosts, ports: [tcp], resolution: 'NONE' }), []);
    const https = { number: 443, name: 'https', protocol: 'HTTPS' };
    const found = warnings({ hosts, ports: [https], addresses: ['1.2.3.4'] });
    assert.match(found[0] ?? '', /leads to one of them only/);
  });
});

describe('ports', () => {
  test('have numbers, names and protocols, each number and name once', () => {
    assert.deepEqual(errors({ ports: [http, { ...tcp, targetPort: 1 }] }), []);
    assert.deepEqual(errors({ ports: [http, { ...http, name: 'b' }] }), [
      'spec.ports[1].number: Invalid value: 80: port number cannot be duplicated',
    ]);
    assert.deepEqual(errors({ ports: [http, { ...http, number: 81 }] }), [
      'spec.ports[1]: Duplicate value: {"name":"http"}',
    ]);
    assert.match(errors({ ports: [{ ...http, number: 0 }] })[0] ?? '', /between 1-65535/);
    assert.match(errors({ ports: [{ ...http, name: 'a b' }] })[0] ?? '', /must be a DNS label/);
    assert.match(errors({ ports: [{ ...http, name: '' }] })[0] ?? '', /must be a DNS label/);
    assert.match(errors({ ports: [{ ...http, targetPort: 0 }] })[0] ?? '', /between 1-65535/);
    assert.match(errors({ ports: [{ ...http, protocol: 'kafka' }] })[0] ?? '', /Unsupported value/);
    assert.deepEqual(errors({ ports: [{ ...http, protocol: 'grpc' }] }), []);
    assert.deepEqual(errors({ ports: [{ number: 80, name: 'a' }] }), []);
  });

  test('are warned of where they do nothing, or too much', () => {
    const none = warnings({ resolution: 'NONE', ports: [{ ...http, targetPort: 81 }] });
    assert.match(none[0] ?? '', /targetPort has no effect/);
    assert.match(warnings({ resolution: 'NONE', ports: [tcp] })[0] ?? '', /every address/);
    assert.deepEqual(warnings({ resolution: 'NONE', ports: [tcp], addresses: ['1.2.3.4'] }), []);
    assert.deepEqual(warnings({ ports: [tcp] }), []);
  });
});

describe('endpoints', () => {
  const at = (address: string, ports?: object) => [{ address, ...(ports ? { ports } : {}) }];

  test('go with the resolution', () => {
    assert.deepEqual(errors({ resolution: 'STATIC', endpoints: at('1.2.3.4') }), []);
    assert.match(
      errors({ resolution: 'STATIC', endpoints: at('b.com') })[0] ?? '',
      /^spec.endpoints\[0\].address: .*must be an IP address/,
    );
    assert.deepEqual(errors({ endpoints: at('b.com') }), []);
    assert.match(errors({ endpoints: at('b b') })[0] ?? '', /IP address or a DNS name/);
    assert.match(errors({ endpoints: [{}] })[0] ?? '', /Address is required/);
    assert.deepEqual(errors({ resolution: 'NONE', endpoints: at('1.2.3.4') }), [
      'spec: Invalid value: NONE mode cannot set endpoints',
    ]);
  });

  test('have ports of the service only', () => {
    assert.deepEqual(errors({ endpoints: at('b.com', { http: 8080 }) }), []);
    assert.match(errors({ endpoints: at('b.com', { x: 1 }) })[0] ?? '', /no port of this name/);
    assert.match(errors({ endpoints: at('b.com', { http: 0 }) })[0] ?? '', /between 1-65535/);
  });

  test('on a socket serve one port', () => {
    const socket = { resolution: 'STATIC', endpoints: at('unix:///a') };
    assert.deepEqual(errors(socket), []);
    assert.match(errors({ ...socket, ports: [http, tcp] })[0] ?? '', /exactly one port/);
  });

  test('are needed for names with wildcards, and are one at most in turn', () => {
    assert.match(errors({ hosts: ['*.a.com'] })[0] ?? '', /must be a name without wildcards/);
    assert.deepEqual(errors({ hosts: ['*.a.com'], endpoints: at('b.com') }), []);
    const turn = { resolution: 'DNS_ROUND_ROBIN' };
    assert.deepEqual(errors({ ...turn, endpoints: at('b.com') }), []);
    assert.match(
      errors({ ...turn, endpoints: [...at('b.com'), ...at('c.com')] })[0] ?? '',
      /DNS_ROUND_ROBIN mode cannot have multiple endpoints/,
    );
  });

  test('are listed or selected, not both', () => {
    const workloadSelector = { labels: { app: 'a' } };
    assert.deepEqual(errors({ resolution: 'STATIC', workloadSelector }), []);
    assert.match(
      errors({ resolution: 'STATIC', workloadSelector, endpoints: at('1.2.3.4') })[0] ?? '',
      /only one of WorkloadSelector or Endpoints/,
    );
    assert.match(warnings({ resolution: 'NONE', workloadSelector })[0] ?? '', /not used/);
    assert.match(warnings({ workloadSelector: {} })[0] ?? '', /every workload/);
    const wild = { labels: { app: 'a*' } };
    assert.match(errors({ workloadSelector: wild })[0] ?? '', /wildcard not allowed/);
  });
});

test('addresses are addresses, blocks only where nothing is resolved', () => {
  assert.deepEqual(errors({ addresses: ['1.2.3.4'] }), []);
  assert.match(errors({ addresses: ['a'] })[0] ?? '', /must be an IP address or a CIDR block/);
  assert.deepEqual(errors({ addresses: ['1.2.0.0/16'], resolution: 'STATIC' }), []);
  assert.deepEqual(errors({ addresses: ['1.2.0.0/16'] }), [
    'spec: Invalid value: CIDR addresses are allowed only for NONE/STATIC resolution types',
  ]);
});

test('names resolved as callers ask for them have no fixed endpoints, and carry the name', () => {
  const dynamic = { resolution: 'DYNAMIC_DNS', hosts: ['*.example.com'] };
  assert.deepEqual(errors(dynamic), []);
  assert.match(
    errors({ ...dynamic, addresses: ['1.2.3.4'] })[0] ?? '',
    /spec.addresses: Forbidden/,
  );
  assert.match(errors({ ...dynamic, ports: [tcp] })[0] ?? '', /a protocol that carries the name/);
});

test('exportTo names namespaces, once each, and nothing beside all or none', () => {
  for (const exportTo of [[], ['*'], ['.'], ['~'], ['.', 'other'], ['a', 'b']]) {
    assert.deepEqual(errors({ exportTo }), [], exportTo.join());
  }
  assert.match(errors({ exportTo: ['.', 'shop'] })[0] ?? '', /Duplicate value: "shop"/);
  assert.match(errors({ exportTo: ['*', 'a'] })[0] ?? '', /all namespaces/);
  assert.match(errors({ exportTo: ['~', 'a'] })[0] ?? '', /no namespace/);
  assert.match(errors({ exportTo: ['a b'] })[0] ?? '', /must be a namespace/);
});
