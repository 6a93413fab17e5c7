// Rules of PeerAuthentication: each is met and broken.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorsOf, warningsOf } from '../../../test/kit/object-verdict.ts';

const kind = 'PeerAuthentication';
const selector = { matchLabels: { app: 'web' } };
const errors = (spec: object): string[] => errorsOf({ kind, spec });

test('no spec, {} and null mean nothing is set', () => {
  assert.deepEqual(errorsOf({ kind }), []);
  for (const spec of [{}, { mtls: null }, { mtls: {} }, { mtls: { mode: 'UNSET' } }]) {
    assert.deepEqual(errors(spec), []);
  }
});

test('modes are those of Istio', () => {
  for (const mode of ['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']) {
    assert.deepEqual(errors({ mtls: { mode } }), []);
  }
  const accepted = 'supported values: "UNSET", "DISABLE", "PERMISSIVE", "STRICT"';
  assert.deepEqual(errors({ mtls: { mode: 'BLAH' } }), [
    `spec.mtls.mode: Unsupported value: "BLAH": ${accepted}`,
  ]);
});

test('ports need workloads that a selector tells apart', () => {
  const portLevelMtls = { 8080: { mode: 'DISABLE' } };
  assert.deepEqual(errors({ selector, portLevelMtls }), []);
  const refused = ['spec: Invalid value: portLevelMtls requires selector'];
  assert.deepEqual(errors({ portLevelMtls }), refused);
  assert.deepEqual(errors({ selector: {}, portLevelMtls }), refused);
});

test('ports are numbers from 1 to 65535, and there is one at least', () => {
  const ports = (portLevelMtls: object): string[] => errors({ selector, portLevelMtls });
  assert.deepEqual(ports({ 1: {}, 65535: { mode: 'STRICT' } }), []);
  for (const port of ['0', '65536', '42949672', '-1']) {
    assert.deepEqual(ports({ [port]: {} }), [
      'spec.portLevelMtls: Invalid value: port must be between 1-65535',
    ]);
  }
  assert.match(ports({ http: {} })[0] ?? '', /type conversion error from 'string' to 'int'/);
  assert.match(ports({})[0] ?? '', /spec.portLevelMtls in body should have at least 1 properties/);
  assert.match(ports({ 80: null })[0] ?? '', /must be of type object/);
});

test('a selector without labels is hardly meant', () => {
  assert.match(warningsOf({ kind, spec: { selector: {} } })[0] ?? '', /selects every workload/);
  assert.deepEqual(warningsOf({ kind, spec: { selector } }), []);
});
