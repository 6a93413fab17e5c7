import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseFieldSelector, parseLabelSelector, selectedName } from '#apiserver/selectors.ts';
import { ApiError } from '#apiserver/status.ts';

const OBJECTS = [
  { name: 'a', labels: { app: 'x', tier: '1' } },
  { name: 'b', labels: { app: 'x', tier: '2' } },
  { name: 'c', labels: { app: 'y' } },
  { name: 'd', labels: {} },
].map((metadata) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata }));

function selected(selector: string): string {
  const filter = parseLabelSelector(selector);
  return OBJECTS.filter((object) => filter?.(object) ?? true)
    .map(({ metadata }) => metadata.name)
    .join('');
}

for (const [selector, names] of [
  ['', 'abcd'],
  ['app=x', 'ab'],
  ['app==x', 'ab'],
  ['app=x,tier=2', 'b'],
  ['app!=x', 'cd'],
  ['tier', 'ab'],
  ['!tier', 'cd'],
  ['app in (x,y)', 'abc'],
  ['app in (x , y)', 'abc'],
  ['app notin (x)', 'cd'],
  ['tier>1', 'b'],
  ['tier<2', 'a'],
  ['app=', ''],
  ['app=,tier', ''],
  ['constructor', ''],
  ['!toString', 'abcd'],
] as const) {
  it(`label selector "${selector}" means ${names || 'nothing'}`, () => {
    assert.equal(selected(selector), names);
  });
}

for (const [selector, message] of [
  ['app in x', "unable to parse requirement: found 'x' expected: '('"],
  ['app=a b', "found 'b', expected: ',' or 'end of string'"],
  ['app in (x', "unable to parse requirement: found '', expected: ',' or ')'"],
  ['=x', "unable to parse requirement: found '=' expected: '!', identifier"],
  ['tier>x', /must be an integer/],
] as const) {
  it(`label selector "${selector}" is refused in Kubernetes' words`, () => {
    assert.throws(
      () => parseLabelSelector(selector),
      (error) => {
        assert.ok(error instanceof ApiError);
        assert.equal(error.body.code, 400);
        if (typeof message === 'string') assert.equal(error.message, message);
        else assert.match(error.message, message);
        return true;
      },
    );
  });
}

it('field selectors compare names, namespaces and the fields that a kind allows', () => {
  const metadata = { name: 'n', namespace: 's' };
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque' };
  const matches = (selector: string): boolean | undefined =>
    parseFieldSelector('secrets', selector)?.matches(secret);
  assert.equal(matches('metadata.name=n'), true);
  assert.equal(matches('metadata.name!=n'), false);
  assert.equal(matches('metadata.name==n,metadata.namespace=s,type=Opaque'), true);
  assert.equal(matches('type=other'), false);
  assert.equal(matches(''), undefined);
  assert.equal(parseFieldSelector('secrets', 'metadata.name=n')?.name, 'n');
  assert.equal(parseFieldSelector('secrets', 'metadata.name!=n')?.name, undefined);
});

it('field selectors find pods by node, account, phase and address', () => {
  const metadata = { name: 'n', namespace: 's' };
  const spec = { nodeName: 'n1', serviceAccountName: 'web' };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec, status: { phase: 'Running' } };
  const matches = (selector: string): boolean | undefined =>
    parseFieldSelector('pods', selector)?.matches(pod);
  assert.equal(matches('spec.nodeName=n1,status.phase=Running,status.podIP='), true);
  assert.equal(matches('spec.nodeName='), false);
  assert.equal(matches('spec.serviceAccountName!=web'), false);
});

it('the one name that a field selector asks for is what a role may name', () => {
  assert.equal(selectedName('type=Opaque,metadata.name==n'), 'n');
  assert.equal(selectedName('metadata.name=n'), 'n');
  for (const other of ['', 'metadata.name!=n', 'metadata.namespace=n', 'metadata.name=', 'x'])
    assert.equal(selectedName(other), undefined, other);
});

it('field selectors on other fields, and of another form, are refused', () => {
  const refused = (kind: string, selector: string, message: string): void =>
    assert.throws(() => parseFieldSelector(kind, selector), { message });
  refused('secrets', 'data=x', 'field label not supported: data');
  refused('configmaps', 'type=x', 'field label not supported: type');
  refused('secrets', 'constructor=x', 'field label not supported: constructor');
  const broken = 'metadata.name in (a)';
  refused('secrets', broken, `invalid selector: '${broken}'; can't understand '${broken}'`);
});
