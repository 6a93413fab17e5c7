import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { TYPE_URL, type XdsResource } from '#xds/resource.ts';
import { NO_CHANGE, ResourceDiffs, type ResourceMap } from './resource-diff.ts';
import { Subscription } from './subscription.ts';

const pool = new Map<string, XdsResource>();

/** `a1 b2`: a resource a of version 1 and so on; the same text gives the same resource objects. */
function state(text: string): ResourceMap {
  const resources = text
    .split(' ')
    .filter(Boolean)
    .map((word) => {
      const name = word.slice(0, 1);
      const made = {
        typeUrl: TYPE_URL.cluster,
        name,
        version: word.slice(1),
        encoded: Buffer.from(word),
      };
      const resource = pool.get(word) ?? made;
      pool.set(word, resource);
      return [name, resource] as const;
    });
  return new Map(resources);
}

function subscription({ withdraws = true } = {}) {
  const made = new Subscription({ diffs: new ResourceDiffs(), withdraws });
  const tell = (text: string | ResourceMap): string => {
    const next = typeof text === 'string' ? state(text) : text;
    const { changed, removed } = made.changeTo(next);
    made.moveTo(next);
    const words = [
      ...changed.map(({ name, version }) => `+${name}${version}`),
      ...removed.map((name) => `-${name}`),
    ];
    return words.join(' ');
  };
  const ask = (...names: string[]) => made.subscribe(names, { resumed: false });
  return { made, tell, ask };
}

test('a wildcard gets everything, then what changes', () => {
  const { tell, ask } = subscription();
  ask('*');
  assert.equal(tell('a1 b1'), '+a1 +b1');
  assert.equal(tell('a1 b1'), '');
  assert.equal(tell('a2 c1'), '+a2 +c1 -b');
});

test('names get what they name, and are told what does not exist', () => {
  const { tell, ask } = subscription();
  ask('a', 'x');
  assert.equal(tell('a1 b1'), '+a1 -x');
  assert.equal(tell('a1 b2'), '');
  assert.equal(tell('a1 b2 x1'), '+x1');
  assert.equal(tell('b2'), '-a -x');
});

test('a name that is asked for again is sent again', () => {
  const { tell, ask } = subscription();
  ask('a');
  assert.equal(tell('a1'), '+a1');
  ask('a');
  assert.equal(tell('a1'), '+a1');
});

test('a name that was taken back is sent no more', () => {
  const { made, tell, ask } = subscription();
  ask('a', 'b');
  tell('a1 b1');
  made.unsubscribe(['a']);
  assert.equal(tell('a2 b2'), '+b2');
  assert.equal(tell('b3'), '+b3');
});

test('a name taken back that the wildcard covers is sent again, or its end told', () => {
  const { made, tell, ask } = subscription();
  ask('*', 'a', 'x');
  assert.equal(tell('a1 b1'), '+a1 +b1 -x');
  made.unsubscribe(['a', 'x']);
  assert.equal(tell('a1 b1'), '+a1 -x');
});

test('without the wildcard only the names are left', () => {
  const { made, tell, ask } = subscription();
  ask('*', 'a');
  tell('a1 b1');
  made.unsubscribe(['*']);
  assert.equal(tell('a2 b2 c1'), '+a2');
  ask('*');
  assert.equal(tell('a2 b2 c1'), '+b2 +c1');
});

test('what the proxy has from an earlier stream is not sent again, what ended is told', () => {
  const { made, tell } = subscription();
  made.resume({ a: '1', b: '1', gone: '1' });
  made.subscribe(['*'], { resumed: true });
  assert.equal(tell('a1 b2 c1'), '+b2 +c1 -gone');
  assert.equal(tell('a1 b2 c1'), '');
});

test('names resume too, and only they', () => {
  const { made, tell } = subscription();
  made.resume({ a: '1', b: '1', x: '1', other: '1' });
  made.subscribe(['a', 'b', 'c', 'x'], { resumed: true });
  assert.equal(tell('a1 b2 c1'), '+b2 +c1 -x');
});

test('types that are not withdrawn tell an end only to who never had the resource', () => {
  const { made, tell, ask } = subscription({ withdraws: false });
  ask('a', 'x');
  assert.equal(tell('a1'), '+a1 -x');
  assert.equal(tell(''), '');
  assert.equal(tell('a1'), '+a1');
  const resumed = subscription({ withdraws: false });
  resumed.made.resume({ a: '1' });
  resumed.made.subscribe(['a'], { resumed: true });
  assert.equal(resumed.tell(''), '');
  assert.equal(made.namesCount, 2);
});

test('removals that are told later are not lost', () => {
  const { made, tell, ask } = subscription();
  ask('*');
  tell('a1 b1 c1');
  const next = state('a1 c2');
  assert.deepEqual(made.changeTo(next).removed, ['b']);
  made.moveTo(next, ['b']);
  assert.equal(made.holding().lacks('b'), false);
  assert.equal(tell('a1 c3'), '+c3 -b');
  assert.equal(tell('a1 c3'), '');
});

test('a removal that waits is dropped when the resource comes back', () => {
  const { made, tell, ask } = subscription();
  ask('*');
  tell('a1 b1');
  made.moveTo(state('a1'), ['b']);
  assert.equal(tell('a1 b1'), '');
  made.moveTo(state('a1'), ['b']);
  assert.equal(tell('a1 b2'), '+b2');
});

test('resending concerns only what is subscribed to', () => {
  const { made, tell, ask } = subscription();
  ask('a');
  tell('a1 b1');
  made.resend('a');
  made.resend('b');
  assert.equal(tell('a1 b1'), '+a1');
});

test('proxies that go the same way share the change', () => {
  const diffs = new ResourceDiffs();
  const [one, two] = [1, 2].map(() => {
    const made = new Subscription({ diffs, withdraws: true });
    made.subscribe(['*'], { resumed: false });
    return made;
  });
  const [from, to] = [state('a1 b1'), state('a1 b2 c1')];
  assert.ok(one && two);
  assert.equal(one.changeTo(from), two.changeTo(from));
  one.moveTo(from);
  two.moveTo(from);
  assert.equal(one.changeTo(to), two.changeTo(to));
  one.moveTo(to);
  assert.equal(one.changeTo(to), NO_CHANGE);
  const additions = diffs.additionsIn(two.changeTo(state('a2')));
  assert.deepEqual(additions.removed, []);
  assert.equal(diffs.additionsIn(additions), additions);
});

// The proxy as the protocol has it: it keeps what it is sent until it is told of its end.
test('after any history the proxy has what is there of what it asked for', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const first = fc.array(fc.oneof(name, fc.constant('*')));
  const step = fc.oneof(
    fc.record({ do: fc.constant('ask' as const), name: fc.oneof(name, fc.constant('*')) }),
    fc.record({ do: fc.constant('drop' as const), name: fc.oneof(name, fc.constant('*')) }),
    fc.record({
      do: fc.constant('tell' as const),
      state: fc.dictionary(name, fc.constantFrom('1', '2', '3')),
      later: fc.boolean(),
    }),
  );
  fc.assert(
    fc.property(
      fc.dictionary(name, fc.constantFrom('0', '1', '2')),
      first,
      fc.array(step),
      (had, names, steps) => {
        const { made } = subscription();
        const asked = new Set<string>(names);
        const covered = ([key]: [string, string]) => asked.has('*') || asked.has(key);
        const proxy = new Map<string, string>(Object.entries(had).filter(covered));
        made.resume(had);
        made.subscribe(names, { resumed: true });
        let next: ResourceMap = new Map();
        const tell = (holdRemovals: boolean): void => {
          const { changed, removed } = made.changeTo(next);
          for (const resource of changed) proxy.set(resource.name, resource.version);
          if (!holdRemovals) for (const gone of removed) proxy.delete(gone);
          made.moveTo(next, holdRemovals ? removed : []);
        };
        for (const one of steps) {
          if (one.do === 'ask') {
            made.subscribe([one.name], { resumed: false });
            asked.add(one.name);
          } else if (one.do === 'drop') {
            made.unsubscribe([one.name]);
            asked.delete(one.name);
            // The proxy forgets what nothing covers any more.
            for (const known of [...proxy.keys()])
              if (!asked.has('*') && !asked.has(known)) proxy.delete(known);
          } else {
            next = state(
              Object.entries(one.state)
                .map(([key, value]) => key + value)
                .join(' '),
            );
            tell(one.later);
          }
        }
        tell(false);
        for (const key of ['a', 'b', 'c', 'd']) {
          if (asked.has('*') || asked.has(key))
            assert.equal(proxy.get(key), next.get(key)?.version, key);
        }
        assert.equal(made.changeTo(next), NO_CHANGE);
      },
    ),
    { numRuns: 2000 },
  );
});
