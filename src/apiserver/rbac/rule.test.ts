import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AccessRule } from '#api/kinds/access-rules.ts';
import type { Access } from '#apiserver/authorize.ts';
import { countRights, readyRules, rightsOf, ruleAllows, ruleCovers } from '#apiserver/rbac/rule.ts';

/** `get pods/log of '' named x`, in the order of the words. */
function access(verb: string, resource: string, { group = '', name = '' } = {}): Access {
  const [plural = '', subresource = ''] = resource.split('/');
  return { type: 'resource', verb, group, resource: plural, subresource, namespace: 'a', name };
}

function allows(rule: AccessRule, asked: Access): boolean {
  return readyRules([rule]).some((ready) => ruleAllows(ready, asked));
}

const path = (verb: string, at: string): Access => ({ type: 'path', verb, path: at });
const core = (resources: string[], verbs = ['get'], resourceNames?: string[]): AccessRule => ({
  verbs,
  apiGroups: [''],
  resources,
  ...(resourceNames ? { resourceNames } : {}),
});

describe('a rule about resources', () => {
  it('allows its verbs, groups and resources, and nothing beside them', () => {
    const rule = core(['pods']);
    assert.equal(allows(rule, access('get', 'pods')), true);
    assert.equal(allows(rule, access('list', 'pods')), false);
    assert.equal(allows(rule, access('get', 'secrets')), false);
    assert.equal(allows(rule, access('get', 'pods', { group: 'apps' })), false);
    assert.equal(allows(rule, { ...access('get', 'pods'), verb: undefined } as Access), false);
  });

  it('says nothing of the parts of a resource, unless it names them', () => {
    assert.equal(allows(core(['pods']), access('get', 'pods/log')), false);
    assert.equal(allows(core(['pods/log']), access('get', 'pods/log')), true);
    assert.equal(allows(core(['pods/log']), access('get', 'pods')), false);
    assert.equal(allows(core(['*/status']), access('get', 'pods/status')), true);
    assert.equal(allows(core(['*/status']), access('get', 'pods/log')), false);
    assert.equal(allows(core(['*/status']), access('get', 'pods')), false);
    assert.equal(allows(core(['*']), access('get', 'pods/log')), true);
  });

  it('means objects of its names only, so no collection and no new object', () => {
    const rule = core(['secrets'], ['get', 'list', 'create'], ['one']);
    assert.equal(allows(rule, access('get', 'secrets', { name: 'one' })), true);
    assert.equal(allows(rule, access('get', 'secrets', { name: 'two' })), false);
    assert.equal(allows(rule, access('list', 'secrets')), false);
    assert.equal(allows(rule, access('list', 'secrets', { name: 'one' })), true);
    assert.equal(allows(rule, access('create', 'secrets')), false);
  });

  it('takes a star for everything, and only a whole one', () => {
    const every: AccessRule = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };
    assert.equal(allows(every, access('nuke', 'pods/log', { group: 'x', name: 'y' })), true);
    assert.equal(allows(every, path('get', '/metrics')), false);
    assert.equal(allows(core(['pod*']), access('get', 'pods')), false);
    assert.equal(allows(core(['pods'], ['g*']), access('get', 'pods')), false);
  });
});

it('a rule about paths means them exactly, or all below a star at the end', () => {
  const rule: AccessRule = { verbs: ['get'], nonResourceURLs: ['/metrics', '/logs/*'] };
  assert.equal(allows(rule, path('get', '/metrics')), true);
  assert.equal(allows(rule, path('post', '/metrics')), false);
  assert.equal(allows(rule, path('get', '/metrics/x')), false);
  assert.equal(allows(rule, path('get', '/logs/x/y')), true);
  assert.equal(allows(rule, path('get', '/logs')), false);
  const every: AccessRule = { verbs: ['*'], nonResourceURLs: ['*'] };
  assert.equal(allows(every, path('post', '/bulwark/v1alpha1/roots')), true);
  const middle: AccessRule = { verbs: ['get'], nonResourceURLs: ['/a/*/c'] };
  assert.equal(allows(middle, path('get', '/a/b/c')), false);
});

describe('what somebody has covers what he gives', () => {
  const covers = (held: AccessRule, given: AccessRule): boolean => {
    const ready = readyRules([held]);
    return [...rightsOf(given)].every((right) => ready.some((one) => ruleCovers(one, right)));
  };

  it('when it is as wide, or wider', () => {
    const every: AccessRule = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };
    assert.equal(covers(every, core(['pods', 'pods/log'], ['get', '*'])), true);
    assert.equal(covers(core(['pods', 'secrets'], ['get', 'list']), core(['pods'])), true);
    assert.equal(covers(core(['*/status']), core(['pods/status'])), true);
    assert.equal(covers(core(['secrets']), core(['secrets'], ['get'], ['one'])), true);
    const below: AccessRule = { verbs: ['get'], nonResourceURLs: ['/a/*'] };
    assert.equal(covers(below, { verbs: ['get'], nonResourceURLs: ['/a/b', '/a/b/*'] }), true);
  });

  it('never when a star, a name or a part is more than it', () => {
    assert.equal(covers(core(['pods'], ['get', 'list']), core(['pods'], ['*'])), false);
    assert.equal(covers(core(['pods']), core(['*'])), false);
    assert.equal(covers(core(['pods']), core(['pods/log'])), false);
    assert.equal(covers(core(['pods/status']), core(['*/status'])), false);
    assert.equal(covers(core(['secrets'], ['get'], ['one']), core(['secrets'])), false);
    assert.equal(covers(core(['pods']), { ...core(['pods']), apiGroups: ['*'] }), false);
    const one: AccessRule = { verbs: ['get'], nonResourceURLs: ['/a/b'] };
    assert.equal(covers(one, { verbs: ['get'], nonResourceURLs: ['/a/*'] }), false);
    assert.equal(covers(one, { verbs: ['get'], nonResourceURLs: ['*'] }), false);
  });

  it('counts the rights without writing them down', () => {
    const rule = core(['a', 'b', 'c'], ['get', 'list'], ['x', 'y']);
    assert.equal(countRights(rule), [...rightsOf(rule)].length);
    const many = Array.from({ length: 1000 }, (_, index) => `n${index}`);
    assert.equal(countRights({ ...core(many, many, many), apiGroups: many }), 1e12);
  });
});
