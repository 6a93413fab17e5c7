// Rules of AuthorizationPolicy: each is met and broken; empty objects keep their meaning.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorsOf, warningsOf } from '../../../test/kit/object-verdict.ts';

const kind = 'AuthorizationPolicy';
const spec = (fields: object, metadata: Readonly<Record<string, unknown>> = {}) => ({
  kind,
  metadata,
  spec: fields,
});
const rule = (fields: object, action = 'ALLOW') => spec({ action, rules: [fields] });
const source = (fields: object, action = 'ALLOW') => rule({ from: [{ source: fields }] }, action);
const operation = (fields: object, action = 'ALLOW') =>
  rule({ to: [{ operation: fields }] }, action);
const when = (fields: object) => rule({ when: [fields] });

const AT_SOURCE = 'spec.rules[0].from[0].source';
const AT_OPERATION = 'spec.rules[0].to[0].operation';
const AT_WHEN = 'spec.rules[0].when[0]';

describe('what is empty', () => {
  test('means something and is taken: no spec, {}, no rules, the rule {}', () => {
    for (const sample of [{ kind }, spec({}), spec({ rules: [] }), rule({}), rule({}, 'DENY')]) {
      assert.deepEqual(errorsOf(sample), []);
      assert.deepEqual(warningsOf(sample), []);
    }
  });

  test('matches nothing the user can mean and is refused: lists, sources, operations, values', () => {
    assert.deepEqual(errorsOf(rule({ from: [] })), [
      'spec.rules[0].from: Required value: leave from out to match anything',
    ]);
    assert.deepEqual(errorsOf(rule({ to: [] })), [
      'spec.rules[0].to: Required value: leave to out to match anything',
    ]);
    assert.deepEqual(errorsOf(rule({ from: [{}] })), [`${AT_SOURCE}: Required value`]);
    assert.deepEqual(errorsOf(rule({ from: [{ source: null }] })), [
      `${AT_SOURCE}: Required value`,
    ]);
    assert.deepEqual(errorsOf(rule({ to: [{}] })), [`${AT_OPERATION}: Required value`]);
    const none = 'Required value: must have at least one field with a value';
    assert.deepEqual(errorsOf(source({})), [`${AT_SOURCE}: ${none}`]);
    assert.deepEqual(errorsOf(source({ principals: [] })), [`${AT_SOURCE}: ${none}`]);
    assert.deepEqual(errorsOf(operation({})), [`${AT_OPERATION}: ${none}`]);
    const empty = 'Invalid value: "": must not be empty';
    assert.deepEqual(errorsOf(source({ notPrincipals: ['p', ''] })), [
      `${AT_SOURCE}.notPrincipals[1]: ${empty}`,
    ]);
    assert.deepEqual(errorsOf(operation({ paths: [''] })), [`${AT_OPERATION}.paths[0]: ${empty}`]);
    assert.match(errorsOf(spec({ rules: [null] }))[0] ?? '', /^spec.rules\[0\]: .*type object/);
  });
});

describe('values', () => {
  test('of addresses are addresses or blocks', () => {
    for (const field of ['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks']) {
      assert.deepEqual(errorsOf(source({ [field]: ['1.2.3.4', '10.0.0.0/8', 'fd00::/8'] })), []);
      assert.deepEqual(errorsOf(source({ [field]: ['10.0.0.0/99'] })), [
        `${AT_SOURCE}.${field}[0]: Invalid value: "10.0.0.0/99": ` +
          'must be an IP address or a CIDR block',
      ]);
    }
  });

  test('of ports are numbers from 1 to 65535, as text', () => {
    for (const field of ['ports', 'notPorts']) {
      assert.deepEqual(errorsOf(operation({ [field]: ['1', '65535'] })), []);
      for (const port of ['0', '65536', 'http', '-1', '80x', ' 80', '1e3']) {
        assert.deepEqual(errorsOf(operation({ [field]: [port] })).length, 1, port);
      }
      assert.match(errorsOf(operation({ [field]: [80] }))[0] ?? '', /must be of type string/);
    }
  });

  test('of service accounts are names, with their namespace or without', () => {
    assert.deepEqual(errorsOf(source({ serviceAccounts: ['ns/sa', 'sa'] })), []);
    for (const account of ['a/b/c', '/sa', 'ns/', 'ns/*', '*']) {
      assert.equal(errorsOf(source({ notServiceAccounts: [account] })).length, 1, account);
    }
  });

  test('of service accounts do not go with principals or namespaces', () => {
    assert.deepEqual(errorsOf(source({ serviceAccounts: ['a/b'], ipBlocks: ['1.2.3.4'] })), []);
    for (const other of ['principals', 'notPrincipals', 'namespaces', 'notNamespaces']) {
      assert.deepEqual(errorsOf(source({ serviceAccounts: ['a/b'], [other]: ['x'] })), [
        `${AT_SOURCE}: Invalid value: Cannot set serviceAccounts with namespaces or principals`,
      ]);
    }
  });

  test('of paths may be templates that Envoy understands', () => {
    for (const path of ['/a', '/a*', '*', 'public', '/a/{*}/b', '/a/{**}', '/{*}/{**}/', '/a b']) {
      assert.deepEqual(errorsOf(operation({ paths: [path] })), [], path);
    }
    const wrong: Readonly<Record<string, RegExp>> = {
      '/a/{x}/b': /braces must be the path template/,
      '/a{*}': /braces must be the path template/,
      '/a/{**}/{*}': /\{\*\*\} must be the last operator/,
      '/a/{*}/b*': /"b\*" of the path template/,
      '/a//{*}': /is empty or has wildcards/,
      '{*}/a': /must begin with \//,
    };
    for (const [path, pattern] of Object.entries(wrong)) {
      assert.match(errorsOf(operation({ notPaths: [path] }))[0] ?? '', pattern, path);
    }
  });
});

describe('when', () => {
  test('takes the attributes of Istio', () => {
    const keys = [
      'source.namespace',
      'source.principal',
      'source.trustDomain',
      'request.auth.principal',
      'request.auth.audiences',
      'request.auth.claims[iss]',
      'request.auth.claims[a][b]',
      'request.headers[:authority]',
      'request.headers[X-Token]',
      'connection.sni',
      'experimental.envoy.filters.network.mysql_proxy[db.table]',
    ];
    for (const key of keys) assert.deepEqual(errorsOf(when({ key, values: ['v'] })), [], key);
    for (const key of ['source.ip', 'remote.ip', 'destination.ip']) {
      assert.deepEqual(errorsOf(when({ key, values: ['1.2.3.4'], notValues: ['5.0.0.0/8'] })), []);
      assert.match(errorsOf(when({ key, notValues: ['x'] }))[0] ?? '', /notValues\[0\].*CIDR/);
    }
    assert.deepEqual(errorsOf(when({ key: 'destination.port', values: ['80'] })), []);
    assert.match(
      errorsOf(when({ key: 'destination.port', values: ['http'] }))[0] ?? '',
      /must be a port number/,
    );
  });

  test('refuses attributes that are unknown, malformed or replaced', () => {
    const wrong: Readonly<Record<string, RegExp>> = {
      'request.nope': /unknown attribute; known are source.ip/,
      'request.headers': /must have the form request.headers\[<header name>\]/,
      'request.headers[]': /must have the form/,
      'request.headers[a b]': /no header can have the name "a b": use request.headers/,
      'request.headers[[good]]': /no header can have the name "\[good\]"/,
      'request.auth.claims[a][]': /a claim has no name/,
      'request.auth.claims': /must have the form request.auth.claims\[<claim>\]/,
      'destination.labels[a]': /use the selector/,
      'destination.namespace': /the namespace it is in/,
      'destination.user': /use the selector/,
      constructor: /unknown attribute/,
    };
    for (const [key, pattern] of Object.entries(wrong)) {
      assert.match(errorsOf(when({ key, values: ['v'] }))[0] ?? '', pattern, key);
    }
  });

  test('needs a key, and a value to compare with', () => {
    assert.deepEqual(errorsOf(when({ values: ['v'] })), [`${AT_WHEN}.key: Required value`]);
    assert.match(errorsOf(when({ key: '', values: ['v'] }))[0] ?? '', /key: Required value/);
    assert.deepEqual(errorsOf(when({ key: 'source.ip' })), [
      `${AT_WHEN}.values: Required value: one of values or notValues must have a value`,
    ]);
    assert.match(
      errorsOf(when({ key: 'source.principal', values: ['a', ''] }))[0] ?? '',
      /values\[1\].*must not be empty/,
    );
  });
});

describe('actions', () => {
  const provider = { name: 'opa' };

  test('other than ALLOW need a rule, or never match', () => {
    for (const action of ['DENY', 'CUSTOM']) {
      const fields = action === 'CUSTOM' ? { action, provider } : { action };
      for (const rules of [undefined, []]) {
        const [found] = errorsOf(spec(rules === undefined ? fields : { ...fields, rules }));
        assert.match(found ?? '', /^spec.rules: Required value: .* without rules never matches/);
      }
      assert.deepEqual(errorsOf(spec({ ...fields, rules: [{}] })), []);
    }
    assert.deepEqual(errorsOf(spec({ action: 'AUDIT' })), []);
    assert.match(warningsOf(spec({ action: 'AUDIT' }))[0] ?? '', /never matches/);
  });

  test('CUSTOM has a provider, and no other has', () => {
    assert.deepEqual(errorsOf(spec({ action: 'CUSTOM', rules: [{}] })), [
      'spec.provider.name: Required value: the action CUSTOM needs a provider',
    ]);
    assert.equal(errorsOf(spec({ action: 'CUSTOM', provider: {}, rules: [{}] })).length, 1);
    for (const action of ['ALLOW', 'DENY', 'AUDIT']) {
      assert.deepEqual(errorsOf(spec({ action, provider, rules: [{}] })), [
        `spec.provider: Forbidden: only the action CUSTOM has a provider, not ${action}`,
      ]);
    }
  });

  test('CUSTOM cannot judge identities, which are not known yet', () => {
    const custom = (fields: object) =>
      errorsOf(spec({ action: 'CUSTOM', provider, rules: [fields] }));
    const from = (fields: object) => custom({ from: [{ source: fields }] });
    assert.deepEqual(from({ ipBlocks: ['1.2.3.4'] }), []);
    assert.deepEqual(custom({ to: [{ operation: { paths: ['/a'] } }] }), []);
    for (const field of ['principals', 'notNamespaces', 'requestPrincipals', 'serviceAccounts']) {
      assert.deepEqual(from({ [field]: ['x'] }), [
        `${AT_SOURCE}.${field}: Forbidden: is not supported with the action CUSTOM`,
      ]);
    }
    for (const key of ['source.namespace', 'source.principal', 'request.auth.claims[a]']) {
      assert.match(custom({ when: [{ key, values: ['x'] }] })[0] ?? '', /not supported with/);
    }
    assert.deepEqual(custom({ when: [{ key: 'source.ip', values: ['1.2.3.4'] }] }), []);
  });

  test('DENY by HTTP alone denies all TCP, and says so', () => {
    assert.match(
      warningsOf(operation({ methods: ['GET'] }, 'DENY'))[0] ?? '',
      /all traffic to TCP/,
    );
    assert.match(warningsOf(source({ requestPrincipals: ['*'] }, 'DENY'))[0] ?? '', /all traffic/);
    assert.deepEqual(warningsOf(operation({ methods: ['GET'], ports: ['80'] }, 'DENY')), []);
    assert.deepEqual(warningsOf(source({ principals: ['td/ns/a/sa/b'] }, 'DENY')), []);
    assert.deepEqual(warningsOf(operation({ methods: ['GET'] }, 'ALLOW')), []);
  });
});

describe('what the policy is for', () => {
  const matchLabels = { app: 'web' };
  const target = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'g' };

  test('is a selector, a target or targets: one of them', () => {
    assert.deepEqual(errorsOf(spec({ selector: { matchLabels } })), []);
    assert.deepEqual(errorsOf(spec({ targetRef: target })), []);
    assert.deepEqual(errorsOf(spec({ targetRefs: [target, { kind: 'Service', name: 's' }] })), []);
    const both = 'spec: Invalid value: only one of targetRefs or selector can be set';
    assert.deepEqual(errorsOf(spec({ selector: { matchLabels }, targetRefs: [target] })), [both]);
    assert.deepEqual(errorsOf(spec({ targetRef: target, targetRefs: [target] })), [both]);
  });

  test('has labels without wildcards', () => {
    const labels = (fields: object) => errorsOf(spec({ selector: { matchLabels: fields } }));
    assert.deepEqual(labels({ app: '' }), []);
    assert.deepEqual(labels({ app: '*' }), [
      'spec.selector.matchLabels[app]: Invalid value: "*": ' +
        'wildcard not allowed in label value match',
    ]);
    assert.match(labels({ 'a*': 'b' })[0] ?? '', /wildcard not allowed in label key match/);
    assert.match(labels({ '': 'b' })[0] ?? '', /key must not be empty/);
    assert.match(warningsOf(spec({ selector: {} }))[0] ?? '', /selects every workload/);
  });

  test('is a kind that policies attach to, in the same namespace', () => {
    assert.match(
      errorsOf(spec({ targetRef: { ...target, kind: 'Pod' } }))[0] ?? '',
      /^spec.targetRef: Unsupported value: "Pod.gateway.networking.k8s.io": supported values: "Ser/,
    );
    assert.deepEqual(errorsOf(spec({ targetRefs: [{ ...target, namespace: 'other' }] })), [
      'spec.targetRefs[0].namespace: Invalid value: "other": ' +
        'cross namespace referencing is not currently supported',
    ]);
    assert.match(
      errorsOf(spec({ targetRefs: Array(17).fill(target) }))[0] ?? '',
      /Too many: 17: must have at most 16 items/,
    );
  });
});

describe('annotations', () => {
  const dryRun = (value: string, action?: string) =>
    errorsOf(
      spec(action ? { action, rules: [{}] } : {}, { annotations: { 'istio.io/dry-run': value } }),
    );

  test('dry-run is true or false, and for ALLOW and DENY only', () => {
    assert.deepEqual(dryRun('true'), []);
    assert.deepEqual(dryRun('false', 'DENY'), []);
    assert.match(dryRun('yes')[0] ?? '', /must be "true" or "false"/);
    assert.match(dryRun('true', 'AUDIT')[0] ?? '', /only ALLOW and DENY can be dry-run/);
  });

  test('dry-run is for no other kind', () => {
    const annotations = { 'istio.io/dry-run': 'true' };
    assert.match(
      errorsOf({ kind: 'PeerAuthentication', metadata: { annotations } })[0] ?? '',
      /only AuthorizationPolicy can be dry-run/,
    );
  });

  test('the one that asks for refusal is obeyed', () => {
    const annotations = { 'internal.istio.io/webhook-always-reject': 'true' };
    assert.match(errorsOf(spec({}, { annotations }))[0] ?? '', /asks that the object be refused/);
  });
});
