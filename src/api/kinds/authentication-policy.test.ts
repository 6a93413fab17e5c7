// Rules of Policy and MeshPolicy: each is met and broken.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { validateObject } from '#api/validate.ts';
import { errorsOf, warningsOf } from '../../../test/kit/object-verdict.ts';

const targets = [{ name: 'reviews' }];
const named = (name: string) => ({ kind: 'Policy', metadata: { name } });
const errors = (spec: object): string[] => errorsOf({ ...named('reviews'), spec });
const warnings = (spec: object): string[] => warningsOf({ ...named('reviews'), spec });
const peers = (peer: object): string[] => errors({ targets, peers: [peer] });
const jwt = (fields: object): string[] =>
  errors({ targets, origins: [{ jwt: { issuer: 'https://issuer.test', ...fields } }] });
const path = (match: object): string[] => jwt({ triggerRules: [{ includedPaths: [match] }] });

test('only the policy of a namespace has no targets, and it is named default', () => {
  assert.deepEqual(errorsOf({ ...named('default'), spec: {} }), []);
  assert.deepEqual(errorsOf(named('default')), []);
  assert.deepEqual(errors({ targets }), []);
  assert.match(errors({})[0] ?? '', /^metadata.name: .*must be named "default"/);
  assert.match(errorsOf(named('reviews'))[0] ?? '', /must be named "default"/);
  const withTargets = errorsOf({ ...named('default'), spec: { targets } });
  assert.match(withTargets[0] ?? '', /^spec.targets: Forbidden: /);
});

test('the policy of the mesh is named default, has no targets and no namespace', () => {
  const mesh = (name: string, spec: object) =>
    errorsOf({ kind: 'MeshPolicy', metadata: { name }, spec });
  assert.deepEqual(mesh('default', { peers: [{ mtls: {} }] }), []);
  assert.match(mesh('other', {})[0] ?? '', /must be named "default"/);
  assert.match(mesh('default', { targets })[0] ?? '', /for the whole mesh/);
  const metadata = { name: 'default', namespace: 'shop' };
  assert.match(errorsOf({ kind: 'MeshPolicy', metadata })[0] ?? '', /not allowed on this type/);
});

test('a target is the short name of a service, with ports by number or name', () => {
  const ports = (port: object): string[] => errors({ targets: [{ name: 'web', ports: [port] }] });
  assert.deepEqual(ports({ number: 9000 }), []);
  assert.deepEqual(ports({ name: 'http' }), []);
  for (const number of [0, 65_536]) assert.match(ports({ number })[0] ?? '', /between 1-65535/);
  assert.match(ports({ number: 1, name: 'http' })[0] ?? '', /not by both/);
  assert.match(ports({})[0] ?? '', /one of number and name/);
  assert.match(ports({ name: 'Bad_Name' })[0] ?? '', /RFC 1123 label/);
  assert.match(errors({ targets: [{ name: 'bad.target' }] })[0] ?? '', /short name of a service/);
  assert.match(errors({ targets: [{}] })[0] ?? '', /spec.targets\[0\].name: Required/);
});

test('mutual TLS is asked for in all the spellings of the documents', () => {
  for (const mtls of [{}, null, { mode: null }, { mode: 'STRICT' }, { mode: 'PERMISSIVE' }]) {
    assert.deepEqual(peers({ mtls }), []);
    assert.deepEqual(warnings({ targets, peers: [{ mtls }] }), []);
  }
  assert.match(peers({ mtls: { mode: 'DISABLE' } })[0] ?? '', /Unsupported value: "DISABLE"/);
  assert.deepEqual(peers({}), []);
  assert.match(peers({ mtls: {}, mTLS: {} })[0] ?? '', /a peer is either/);
});

test('a peer without a value is kept as it is written', () => {
  for (const text of ['- mtls:', '- mtls: null']) {
    const apiVersion = 'authentication.istio.io/v1alpha1';
    const spec = { targets, peers: parse(text) };
    const { object } = validateObject({ apiVersion, ...named('reviews'), spec });
    assert.deepEqual(object && { ...object, metadata: undefined }, {
      apiVersion,
      kind: 'Policy',
      metadata: undefined,
      spec: { targets, peers: [{ mtls: null }] },
    });
  }
});

test('the spelling mTLS is taken, and the right one said', () => {
  const spec = { targets, peers: [{ mTLS: { mode: 'PERMISSIVE' } }] };
  assert.deepEqual(errors(spec), []);
  assert.match(warnings(spec)[0] ?? '', /^spec.peers\[0\].mTLS: the field is written mtls/);
});

test('a peer that says nothing is mutual TLS, since kubectl leaves out what is null', () => {
  const spec = { targets, peers: [{}] };
  assert.deepEqual(errors(spec), []);
  assert.match(warnings(spec)[0] ?? '', /^spec.peers\[0\]: nothing is said; .* mtls: {}/);
});

test('what is old or means nothing is said', () => {
  const said = (spec: object): string => warnings({ targets, ...spec })[0] ?? '';
  assert.match(said({ peers: [{ mtls: { allowTls: true } }] }), /mode: PERMISSIVE/);
  assert.match(said({ peers: [{ jwt: { issuer: 'a' } }] }), /never passes/);
  assert.match(said({ peerIsOptional: true }), /means nothing without peers/);
  assert.match(said({ originIsOptional: true }), /means nothing without origins/);
  assert.equal(said({ peers: [{ mtls: {} }], peerIsOptional: true }), '');
});

test('a token has an issuer, once, and nothing empty', () => {
  assert.deepEqual(jwt({ audiences: ['a'], jwtHeaders: ['x-token'], jwtParams: ['token'] }), []);
  assert.match(jwt({ issuer: '' })[0] ?? '', /issuer: Required/);
  for (const field of ['audiences', 'jwtHeaders', 'jwtParams']) {
    assert.match(jwt({ [field]: [''] })[0] ?? '', /must not be empty/, field);
  }
  const twice = { jwt: { issuer: 'same' } };
  assert.match(errors({ targets, origins: [twice, twice] })[0] ?? '', /Duplicate value: "same"/);
  assert.match(errors({ targets, origins: [{}] })[0] ?? '', /origins\[0\].jwt: Required/);
});

test('keys are fetched over http or https', () => {
  for (const jwksUri of ['https://issuer.test/keys', 'http://issuer.test:8080/']) {
    assert.deepEqual(jwt({ jwksUri }), []);
  }
  for (const jwksUri of ['ftp://issuer.test', 'file:///etc/keys', 'no address']) {
    assert.match(jwt({ jwksUri })[0] ?? '', /must be a URL with http or https/);
  }
  const both = { issuer: 'a', jwks: '{"keys":[]}', jwksUri: 'https://issuer.test/keys' };
  assert.match(warnings({ targets, origins: [{ jwt: both }] })[0] ?? '', /only jwks is used/);
});

test('a path is told in exactly one way, and a regular expression is one of RE2', () => {
  for (const match of [{ exact: '/' }, { prefix: '/a' }, { suffix: 'b' }, { regex: '/[a-z]+' }]) {
    assert.deepEqual(path(match), []);
  }
  assert.match(path({})[0] ?? '', /exactly one of/);
  assert.match(path({ exact: '/', prefix: '/' })[0] ?? '', /exactly one of/);
  assert.match(path({ exact: '' })[0] ?? '', /must not be empty/);
  assert.match(path({ regex: '(' })[0] ?? '', /no regular expression/);
  for (const regex of ['(?=a)b', '(?<!a)b', '(a)\\1']) {
    assert.match(path({ regex })[0] ?? '', /RE2 knows neither/);
  }
});
