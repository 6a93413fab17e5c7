import assert from 'node:assert/strict';
import test from 'node:test';
import { present } from '#base/assert.ts';
import { TYPE_URL, type XdsResource } from '#xds/resource.ts';
import { Rejections } from './rejections.ts';
import { RESOURCE_TYPES } from './resource-types.ts';

const made = new Map<string, XdsResource>();

function resource(name: string, version = '1'): XdsResource {
  const key = `${name} ${version}`;
  const fresh = { typeUrl: TYPE_URL.cluster, name, version, encoded: Buffer.alloc(0) };
  const known = made.get(key) ?? fresh;
  made.set(key, known);
  return known;
}

function rejectionsOf(type: string) {
  const found = present(
    RESOURCE_TYPES.find(({ name }) => name === type),
    type,
  );
  const rejections = new Rejections(found);
  const reject = (names: string, message: string): string =>
    rejections
      .rejected(
        names.split(' ').map((name) => resource(name)),
        message,
        0,
      )
      .culprits.map(({ name }) => name)
      .join(' ');
  const retries = (): string[] => {
    const groups: string[] = [];
    for (
      let group = rejections.nextRetry(() => true);
      group;
      group = rejections.nextRetry(() => true)
    )
      groups.push(group.map(({ name }) => name).join(' '));
    return groups;
  };
  return { rejections, reject, retries };
}

test('the resource at fault is the one that the message names, as a whole word', () => {
  const cases: readonly [string, string, string][] = [
    ['a b', 'Error adding/updating cluster(s) b: malformed IP address: 300.1.1.1', 'b'],
    ['a b', "cluster 'a' is bad", 'a'],
    ['outbound|80||x outbound|80||x.y', 'cluster(s) outbound|80||x.y: bad', 'outbound|80||x.y'],
    ['outbound|80||x outbound|80||x.y', 'cluster(s) outbound|80||x: bad', 'outbound|80||x'],
    ['0.0.0.0_80 0.0.0.0_8080', 'listener(s) 0.0.0.0_8080: bad', '0.0.0.0_8080'],
    ['a b c', 'cluster(s) a: bad, c: worse', 'a c'],
    ['r1 r2', 'Only a single wildcard domain is permitted in route r1', 'r1'],
    ['r1 r2', 'This concerns r2.', 'r2'],
    ['a b', 'ab ba a-b a.b a/b', ''],
  ];
  for (const [names, message, culprits] of cases)
    assert.equal(rejectionsOf('cds').reject(names, message), culprits, message);
});

test('clusters and listeners that are not named were taken', () => {
  for (const type of ['cds', 'lds']) {
    const { reject, retries, rejections } = rejectionsOf(type);
    reject('a b c', 'listener(s) b: bad');
    assert.deepEqual(retries(), []);
    assert.deepEqual(
      rejections.all.map(({ name }) => name),
      ['b'],
    );
  }
});

test('of other types the rest is sent again', () => {
  for (const type of ['eds', 'rds', 'sds', 'ecds']) {
    const { reject, retries } = rejectionsOf(type);
    reject('a b c', 'something about b');
    assert.deepEqual(retries(), ['a c']);
  }
});

test('when nobody is named, or everybody, each half is sent again', () => {
  const { reject, retries, rejections } = rejectionsOf('ecds');
  assert.equal(reject('a b c', 'wrong type'), '');
  assert.deepEqual(retries(), ['a b', 'c']);
  assert.equal(reject('a b', 'a and b'), '');
  assert.deepEqual(retries(), ['a', 'b']);
  assert.deepEqual(rejections.all, []);
  assert.equal(reject('a', 'wrong type'), 'a');
  assert.deepEqual(rejections.all, [{ name: 'a', version: '1', message: 'wrong type', at: 0 }]);
});

test('a success gives what stands rejected one more chance, if it is still wanted', () => {
  const { reject, retries, rejections } = rejectionsOf('sds');
  reject('a', 'no');
  reject('b', 'no');
  reject('c', 'no');
  const current = new Map(
    ['b', 'c'].map((name) => [name, resource(name, name === 'b' ? '1' : '2')]),
  );
  rejections.accepted([resource('d')], current);
  rejections.accepted([resource('d')], current);
  assert.deepEqual(retries(), ['b']);
});

test('clusters get no second chance', () => {
  const { reject, retries, rejections } = rejectionsOf('cds');
  reject('a', 'no');
  rejections.accepted([resource('b')], new Map([['a', resource('a')]]));
  assert.deepEqual(retries(), []);
  rejections.accepted([resource('a', '2')], new Map());
  assert.deepEqual(rejections.all, []);
});
