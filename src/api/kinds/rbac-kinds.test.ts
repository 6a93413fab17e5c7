// Rules of rbac.istio.io/v1alpha1: each is met and broken.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { propertiesOf } from '#api/kinds/service-role-binding.ts';
import { errorsOf, warningsOf } from '../../../test/kit/object-verdict.ts';

const apiVersion = 'rbac.istio.io/v1alpha1';
const sample = (kind: string, spec: object, name = 'sample') => ({
  apiVersion,
  kind,
  metadata: { name },
  spec,
});
const config = (spec: object) => errorsOf(sample('ClusterRbacConfig', spec, 'default'));
const rule = (fields: object) =>
  errorsOf(sample('ServiceRole', { rules: [{ services: ['*'], ...fields }] }));
const roleWarnings = (fields: object) =>
  warningsOf(sample('ServiceRole', { rules: [{ services: ['*'], ...fields }] }));
const roleRef = { kind: 'ServiceRole', name: 'viewer' };
const subject = (fields: object) =>
  errorsOf(sample('ServiceRoleBinding', { subjects: [fields], roleRef }));
const subjectWarnings = (fields: object) =>
  warningsOf(sample('ServiceRoleBinding', { subjects: [fields], roleRef }));
const binding = (fields: object) =>
  errorsOf(sample('ServiceRoleBinding', { subjects: [{ user: '*' }], ...fields }));

test('there is one configuration, named default, in either kind', () => {
  assert.deepEqual(config({ mode: 'ON' }), []);
  assert.deepEqual(errorsOf(sample('RbacConfig', { mode: 'ON' }, 'default')), []);
  assert.match(errorsOf(sample('RbacConfig', {}, 'other'))[0] ?? '', /must be "default"/);
  assert.match(config({ mode: 'SOMETIMES' })[0] ?? '', /Unsupported value/);
});

test('a mode with exceptions says them, if only that there are none', () => {
  for (const [mode, field] of [
    ['ON_WITH_INCLUSION', 'inclusion'],
    ['ON_WITH_EXCLUSION', 'exclusion'],
  ] as const) {
    assert.deepEqual(config({ mode, [field]: {} }), []);
    assert.deepEqual(config({ mode, [field]: { namespaces: ['default'] } }), []);
    assert.match(config({ mode })[0] ?? '', new RegExp(`spec.${field}: Required`));
    const said = warningsOf(sample('ClusterRbacConfig', { mode: 'ON', [field]: {} }, 'default'));
    assert.match(said[0] ?? '', /means nothing with the mode ON/);
  }
});

test('a role has rules, and a rule has services', () => {
  assert.deepEqual(rule({}), []);
  assert.match(errorsOf(sample('ServiceRole', { rules: null }))[0] ?? '', /at least one rule/);
  assert.match(rule({ services: [] })[0] ?? '', /services: Required/);
  assert.match(rule({ methods: [''] })[0] ?? '', /methods\[0\]: .*must not be empty/);
});

test('a field and its not-field do not go together', () => {
  for (const name of ['hosts', 'methods', 'paths', 'ports']) {
    const notName = `not${name[0]?.toUpperCase()}${name.slice(1)}`;
    const values = name === 'ports' ? [80] : ['x'];
    assert.deepEqual(rule({ [name]: values }), []);
    assert.deepEqual(rule({ [notName]: values }), []);
    assert.match(rule({ [name]: values, [notName]: values })[0] ?? '', /do not go together/);
  }
});

test('ports are in range', () => {
  assert.deepEqual(rule({ ports: [0, 65_535] }), []);
  for (const port of [-1, 65_536]) assert.match(rule({ ports: [port] })[0] ?? '', /between 0/);
});

test('a constraint has key and values; an unknown key is said', () => {
  const constraint = (key: string, ...values: string[]) => ({ constraints: [{ key, values }] });
  assert.deepEqual(rule(constraint('request.headers[version]', 'v1')), []);
  assert.deepEqual(roleWarnings(constraint('destination.labels[version]', 'v1')), []);
  assert.match(rule(constraint('', 'v1'))[0] ?? '', /key: Required/);
  assert.match(rule(constraint('destination.ip'))[0] ?? '', /values: Required/);
  assert.match(rule(constraint('destination.ip', 'x'))[0] ?? '', /IP address/);
  assert.deepEqual(rule(constraint('version', 'v1')), []);
  assert.match(roleWarnings(constraint('version', 'v1'))[0] ?? '', /never holds/);
  const both = { ports: [80], ...constraint('destination.port', '80') };
  assert.match(rule(both)[0] ?? '', /use one of them/);
});

test('methods that gRPC never has are said', () => {
  const paths = ['shop.Cart/Add'];
  assert.match(roleWarnings({ paths, methods: ['GET'] })[0] ?? '', /always POST/);
  for (const methods of [['POST'], ['*'], undefined]) {
    assert.deepEqual(roleWarnings({ paths, ...(methods && { methods }) }), []);
  }
});

test('a binding gives exactly one thing', () => {
  assert.deepEqual(binding({ roleRef }), []);
  assert.deepEqual(binding({ role: '/viewer' }), []);
  assert.deepEqual(binding({ actions: [{ services: ['*'] }] }), []);
  assert.match(binding({})[0] ?? '', /exactly one of/);
  assert.match(binding({ roleRef, role: 'viewer' })[0] ?? '', /exactly one of/);
  assert.match(binding({ roleRef: { kind: 'Role', name: 'x' } })[0] ?? '', /"ServiceRole"/);
  assert.match(binding({ roleRef: { kind: 'ServiceRole' } })[0] ?? '', /name: Required/);
  assert.match(binding({ actions: [{}] })[0] ?? '', /actions\[0\].services: Required/);
});

test('a subject says something, each thing once', () => {
  for (const fields of [{ user: '*' }, { group: 'a' }, { ips: ['10.0.0.0/8'] }]) {
    assert.deepEqual(subject(fields), []);
  }
  assert.match(subject({})[0] ?? '', /at least one field/);
  assert.match(subject({ names: [''] })[0] ?? '', /must not be empty/);
  assert.match(subject({ ips: ['x'] })[0] ?? '', /IP address/);
  assert.match(subject({ user: 'a', names: ['b'] })[0] ?? '', /do not go together/);
  const properties = { 'source.namespace': 'a' };
  assert.match(subject({ properties, namespaces: ['a'] })[0] ?? '', /use one of them/);
  assert.match(errorsOf(sample('ServiceRoleBinding', { roleRef }))[0] ?? '', /one subject/);
});

test('properties are a map, or a list of maps, and texts', () => {
  const listed = parse('- request.auth.claims[email]: "a@foo.com"\n- source.namespace: shop');
  const asMap = Object.assign({}, ...listed);
  assert.deepEqual(propertiesOf({ properties: listed }), propertiesOf({ properties: asMap }));
  assert.deepEqual(subject({ properties: listed }), []);
  assert.match(subjectWarnings({ properties: listed })[0] ?? '', /taken for one map/);
  assert.deepEqual(subjectWarnings({ properties: asMap }), []);
  for (const properties of ['text', { a: 1 }, [['a']], { a: null }]) {
    assert.match(subject({ properties })[0] ?? '', /properties/, JSON.stringify(properties));
  }
  assert.match(subjectWarnings({ properties: { 'source.color': 'x' } })[0] ?? '', /never holds/);
});
