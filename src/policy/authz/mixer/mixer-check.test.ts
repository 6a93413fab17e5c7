// Lists, and what cannot be asked of a request: it denies, and is told.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Authorizer } from '#policy/authz/selection.ts';
import { authorizedWorkload, authzContext } from '../../../../test/kit/authorization-policy.ts';
import { testMesh } from '../../../../test/kit/mesh.ts';
import {
  type Asked,
  allows,
  authorization,
  denies,
  HANDLERS,
  listOf,
  rule,
  SERVICES,
} from '../../../../test/kit/mixer-rules.ts';
import { objectsOf } from '../../../../test/kit/objects.ts';

describe('a listchecker', () => {
  const VERSION = 'request.headers["version"]';
  const v = (version: string): Asked => ({ headers: { version } });

  it('denies what is in a blacklist, and what is not in a whitelist', () => {
    const black = listOf({ overrides: ['v1', 'v2'], blacklist: true }, VERSION);
    denies(v('v1'), black);
    denies(v('v2'), black);
    allows(v('v3'), black);
    allows({}, black);
    const white = listOf({ overrides: ['v1', 'v2'] }, VERSION);
    allows(v('v1'), white);
    denies(v('v3'), white);
    denies({}, white);
  });

  it('compares as its type says', () => {
    const any = listOf({ overrides: ['V1'], entryType: 'CASE_INSENSITIVE_STRINGS' }, VERSION);
    allows(v('v1'), any);
    denies(v('v11'), any);
    denies(v('V1'), listOf({ overrides: ['v1'] }, VERSION));
    const regex = listOf({ overrides: ['^v[12]$'], entryType: 'REGEX' }, VERSION);
    allows(v('v2'), regex);
    denies(v('v12'), regex);
    const blocks = { overrides: ['10.57.0.0/16', '10.1.2.3'], entryType: 'IP_ADDRESSES' };
    const white = listOf(blocks, 'source.ip | ip("0.0.0.0")');
    allows({ address: '10.57.1.1' }, white);
    allows({ address: '10.1.2.3' }, white);
    denies({ address: '10.58.1.1' }, white);
    const black = listOf({ ...blocks, blacklist: true }, 'source.ip');
    denies({ address: '10.57.1.1' }, black);
    allows({ address: '10.58.1.1' }, black);
  });

  it('looks for what is known of the workload', () => {
    const value = 'destination.labels["version"]';
    denies({}, listOf({ overrides: ['v1'], blacklist: true }, value));
    allows({}, listOf({ overrides: ['v2'], blacklist: true }, value));
  });
});

describe('what cannot be asked of a request', () => {
  const labels = 'source.labels["app"] == "x"';

  it('denies what the rest of the rule covers, and is told', () => {
    const match = `source.namespace == "a" && ${labels}`;
    denies({ caller: 'a/x' }, rule(match));
    allows({ caller: 'b/x' }, rule(match));
    denies({ caller: 'a/x' }, rule(`source.namespace == "a" && !(${labels})`));
    denies({ caller: 'a/x' }, rule('source.namespace == "a" && my.attribute == "x"'));
    denies({ caller: 'a/x' }, rule('source.namespace == "a" && request.path == 1'));
    const { policies } = authorization(rule(match));
    assert.match(policies[0]?.diagnostics[0]?.message ?? '', /column 28: source\.labels is not/);
  });

  it('denies by a list, whichever way it is read', () => {
    for (const blacklist of [true, false])
      denies({}, listOf({ overrides: ['x'], blacklist }, 'source.name'));
    denies({}, rule('', 'deny', 'gone'));
  });

  it('is taken to hold where there are too many alternatives', () => {
    const parts = [...'abcdefghi'].map(
      (name) => `(request.headers["${name}1"] == "1" || request.headers["${name}2"] == "2")`,
    );
    const open = '("x".matches(request.path) || request.method == "GET")';
    const match = `${parts.join(' && ')} && ${open} && source.namespace == "a"`;
    const { policies } = authorization(rule(match));
    assert.match(policies[0]?.diagnostics[0]?.message ?? '', /too many alternatives/);
    denies(
      {
        caller: 'a/x',
        headers: Object.fromEntries([...'abcdefghi'].map((name) => [`${name}1`, '1'])),
      },
      rule(match),
    );
  });

  it('is decided with the agent, where it can tell', () => {
    const parts = [...'abcdefghi'].map(
      (name) => `(request.headers["${name}1"] == "1" || request.headers["${name}2"] == "2")`,
    );
    const match = parts.join(' && ');
    const all = Object.fromEntries([...'abcdefghi'].map((name) => [`${name}1`, '1']));
    assert.deepEqual(authorization(rule(match)).policies[0]?.diagnostics, []);
    denies({ headers: all }, rule(match));
    allows({ headers: { ...all, a1: '2' } }, rule(match));
    const same = 'request.headers["a"] == request.useragent';
    denies({ headers: { a: 'x', 'user-agent': 'x' } }, rule(same));
    allows({ headers: { a: 'x', 'user-agent': 'y' } }, rule(same));
    allows({ headers: { a: 'x' } }, rule(same));
    allows({ headers: { a: 'x' } }, rule(`!(${same})`));
    const regex = '"^ab?$".matches(source.namespace)';
    denies({ caller: 'ab/x' }, rule(regex));
    allows({ caller: 'cab/x' }, rule(regex));
    allows({}, rule(regex));
    const list = { overrides: ['^v[12]$'], entryType: 'REGEX', blacklist: true };
    denies({ headers: { v: 'V1' } }, listOf(list, 'toLower(request.headers["v"])'));
    allows({ headers: { v: 'V3' } }, listOf(list, 'toLower(request.headers["v"])'));
    denies({}, listOf(list, 'destination.labels["version"]'));
  });

  it('counts as if it held on ports that are not HTTP, where nobody is asked', () => {
    denies({ tcp: true, caller: 'a/x' }, rule('source.namespace == source.serviceAccount'));
    allows({ tcp: true, caller: 'a/x' }, rule('request.host == request.method'));
  });

  it('is absent when a manifest declares it, as nothing here makes it', () => {
    const manifest = `
apiVersion: config.istio.io/v1alpha2
kind: attributemanifest
metadata: { name: mine, namespace: istio-system }
spec: { attributes: { my.attribute: { valueType: STRING } } }
`;
    allows({}, manifest, rule('my.attribute == "x"'));
    denies({}, manifest, rule('(my.attribute | "x") == "x"'));
    denies({}, rule('my.attribute == "x"'));
  });
});

it('many values of one attribute are one condition', () => {
  const names = Array.from({ length: 100 }, (_, at) => `source.namespace == "n${at}"`);
  const { http } = authorization(rule(names.join(' || ')));
  assert.equal(http.deny.enforced?.length, 1);
  assert.equal(http.deny.enforced?.[0]?.sources[0]?.[0]?.values.length, 100);
});

it('the same rules are the same policies', () => {
  const mesh = testMesh(
    objectsOf([SERVICES, HANDLERS, rule('source.namespace == "a"')].join('---')),
  );
  const authorizer = new Authorizer(authzContext('strict'));
  const [one, two] = [
    { app: 'shop', a: '1' },
    { app: 'shop', a: '2' },
  ].map((labels) =>
    authorizer.authorizationFor(authorizedWorkload({ labels }), mesh.model.snapshot()),
  );
  assert.equal(one, two);
});
