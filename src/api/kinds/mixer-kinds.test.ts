// Mixer's kinds: what is taken and what is refused, each with its place.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errorsOf, warningsOf } from '../../../test/kit/object-verdict.ts';

const sample = (kind: string, spec: object) => ({
  apiVersion: 'config.istio.io/v1alpha2',
  kind,
  metadata: { namespace: 'foo' },
  spec,
});
const refused = (kind: string, spec: object, ...patterns: readonly RegExp[]) => {
  const errors = errorsOf(sample(kind, spec));
  assert.equal(errors.length, patterns.length, errors.join('\n'));
  for (const [index, pattern] of patterns.entries()) assert.match(errors[index] ?? '', pattern);
};
const taken = (kind: string, spec: object, ...warnings: readonly RegExp[]) => {
  refused(kind, spec);
  const said = warningsOf(sample(kind, spec));
  assert.equal(said.length, warnings.length, said.join('\n'));
  for (const [index, pattern] of warnings.entries()) assert.match(said[index] ?? '', pattern);
};

describe('a rule', () => {
  const actions = [{ handler: 'deny.denier', instances: ['nothing.checknothing'] }];

  it('has an expression that Envoy can be asked, and actions', () => {
    taken('rule', { actions });
    taken('rule', { match: 'destination.labels["app"] == "x"', actions });
    refused('rule', {}, /spec\.actions: Required/);
    refused('rule', { actions: [{}] }, /actions\[0\]\.handler/, /actions\[0\]\.instances/);
    refused('rule', { match: 'request.path', actions }, /spec\.match: .*must be of type BOOL/);
    refused('rule', { match: 'request.path ==', actions }, /at column 16: the expression ends/);
    refused('rule', { match: 'source.name == "x"', actions }, /at column 1: source\.name is not/);
    taken('rule', { match: 'request.host == source.principal', actions });
    taken('rule', { match: 'request.query_params["a"] == toLower(request.host)', actions });
    const port = 'destination.port > 1000';
    refused('rule', { match: port, actions }, /column 18: neither Envoy nor its agent/);
    const name = 'request.headers[request.method] == "x"';
    refused('rule', { match: name, actions }, /column 16: neither Envoy nor its agent/);
    refused('rule', { match: '"(".matches(request.path)', actions }, /column 1: .*\(RE2\)/);
    taken('rule', { match: 'my.own == "x"', actions }, /no attribute my\.own; unless an attr/);
  });

  it('tells what has no effect', () => {
    const requestHeaderOperations = [{ name: 'x', values: ['"y"'] }];
    taken('rule', { actions, requestHeaderOperations }, /requestHeaderOperations: has no effect/);
  });
});

describe('a denier', () => {
  it('has a code that is an error', () => {
    for (const [kind, at] of [
      ['denier', (params: object) => params],
      ['handler', (params: object) => ({ compiledAdapter: 'denier', params })],
    ] as const) {
      taken(kind, at({}));
      taken(kind, at({ status: { code: 7 }, validDuration: '5s', validUseCount: 10 }));
      taken(kind, at({ status: { code: 16, message: 'no' } }));
      const message = 'x'.repeat(3000);
      refused(kind, at({ status: { message } }), /status\.message: Too long/);
      refused(kind, at({ status: { code: 0 } }), /status\.code: .*1 to 16/);
      refused(kind, at({ validDuration: 'long' }), /validDuration: .*duration/);
      refused(kind, at({ code: 7 }), /unknown field ".*code"/);
    }
  });
});

describe('a listchecker', () => {
  it('has entries of its type, or a place to fetch them from', () => {
    for (const [kind, at] of [
      ['listchecker', (params: object) => params],
      ['handler', (params: object) => ({ compiledAdapter: 'listchecker', params })],
    ] as const) {
      taken(kind, at({ overrides: ['v1'], blacklist: true, refreshInterval: '60s' }));
      taken(kind, at({ overrides: ['10.0.0.0/8'], entryType: 'IP_ADDRESSES' }));
      refused(kind, at({ overrides: ['v1'], entryType: 'IP_ADDRESSES' }), /overrides\[0\]: .*CIDR/);
      refused(kind, at({ overrides: ['('], entryType: 'REGEX' }), /overrides\[0\]: .*RE2/);
      refused(kind, at({ overrides: ['[[:alpha:]]'], entryType: 'REGEX' }), /set of characters/);
      const long = 'x'.repeat(3000);
      refused(kind, at({ overrides: [long] }), /at most 2048 characters/);
      const anyCase = { overrides: [long], entryType: 'CASE_INSENSITIVE_STRINGS' };
      refused(kind, at(anyCase), /at most 500 characters/);
      refused(kind, at({}), /overrides: Required/);
      const providerUrl = 'https://lists.example.com/a';
      taken(kind, at({ providerUrl }));
      taken(kind, at({ providerUrl, refreshInterval: '10s', ttl: '30s', overrides: ['a'] }));
      refused(kind, at({ providerUrl: 'file:///etc/passwd' }), /providerUrl: .*http or https/);
      refused(kind, at({ providerUrl: 'https://me:pw@x/' }), /providerUrl: .*no secret/);
      refused(kind, at({ providerUrl, refreshInterval: '10ms' }), /refreshInterval: .*least 1s/);
      refused(kind, at({ providerUrl, ttl: '30s' }), /ttl: .*refreshInterval \(1m\)/);
      refused(kind, at({ overrides: ['x'], entryType: 'WORDS' }), /entryType: Unsupported/);
    }
  });
});

describe('handlers and instances', () => {
  it('are those of access control', () => {
    refused('handler', {}, /compiledAdapter: Required/);
    refused('handler', { compiledAdapter: 'prometheus' }, /Unsupported value: "prometheus"/);
    refused(
      'handler',
      { adapter: 'mine', connection: { address: 'x' } },
      /adapter: Forbidden/,
      /connection: Forbidden/,
    );
    taken('instance', { compiledTemplate: 'checknothing' });
    taken('instance', { compiledTemplate: 'listentry', params: { value: 'source.ip' } });
    refused('instance', { compiledTemplate: 'metric' }, /compiledTemplate: Unsupported/);
    refused('instance', { compiledTemplate: 'listentry' }, /params\.value: Required/);
    refused('instance', { compiledTemplate: 'checknothing', params: { a: 1 } }, /unknown field/);
    refused('instance', { template: 'mine' }, /template: Forbidden/);
    taken('checknothing', {});
    taken('listentry', { value: 'source.namespace | "none"' });
    refused('listentry', { value: 'connection.mtls' }, /STRING or IP_ADDRESS, this is BOOL/);
    refused('listentry', { value: 'source.uid' }, /source\.uid is not known/);
    refused('listentry', {}, /spec\.value: Required/);
  });
});

describe('an attributemanifest', () => {
  it('declares attributes, and changes none of the vocabulary', () => {
    taken('attributemanifest', {
      attributes: { 'my.own': { valueType: 'STRING' }, 'source.ip': { valueType: 'IP_ADDRESS' } },
    });
    refused('attributemanifest', { attributes: { a: {} } }, /attributes\[a\]\.valueType/);
    const changed = { 'source.ip': { valueType: 'STRING' } };
    refused('attributemanifest', { attributes: changed }, /source\.ip is of type IP_ADDRESS/);
  });
});
