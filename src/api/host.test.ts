// Host names, addresses and durations as Istio's API takes them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isIpAddress, isIpBlock } from '#api/address.ts';
import type { Diagnostic } from '#api/diagnostic.ts';
import { checkDuration } from '#api/duration.ts';
import { hostProblem, isHostLabel, wildcardHostProblem } from '#api/host.ts';

test('a host name is DNS labels; a dot at the end is fine', () => {
  for (const name of ['a', 'reviews.default.svc.cluster.local', 'Example.COM', 'a.b.', '1a.b']) {
    assert.equal(hostProblem(name), undefined, name);
  }
  assert.match(hostProblem('') ?? '', /must not be empty/);
  assert.match(hostProblem('a..b') ?? '', /label "" is no DNS label/);
  assert.match(hostProblem('a_b.c') ?? '', /label "a_b"/);
  assert.match(hostProblem('*.a') ?? '', /label "\*"/);
  assert.match(hostProblem('1.2.3.4') ?? '', /all-numeric/);
  assert.match(hostProblem(`${'a.'.repeat(128)}b`) ?? '', /no more than 255/);
});

test('a wildcard stands in the first label only', () => {
  for (const name of ['*', '*.example.com', '*foo.com', '*-foo.com', 'a.b']) {
    assert.equal(wildcardHostProblem(name), undefined, name);
  }
  assert.match(wildcardHostProblem('a.*.b') ?? '', /label "\*" is no DNS label/);
  assert.match(wildcardHostProblem('a*.b') ?? '', /no DNS label or wildcard/);
  assert.match(wildcardHostProblem('**.b') ?? '', /no DNS label or wildcard/);
  assert.match(wildcardHostProblem('') ?? '', /must not be empty/);
});

test('a label is 63 characters at most', () => {
  assert.equal(isHostLabel('a'.repeat(63)), true);
  assert.equal(isHostLabel('a'.repeat(64)), false);
  assert.equal(isHostLabel('a.b'), false);
});

test('addresses and blocks of both families are taken, zones and bad lengths are not', () => {
  for (const text of ['1.2.3.4', '10.0.0.0/8', '::1', 'fd00::/8', '0.0.0.0/0', '::/128']) {
    assert.equal(isIpBlock(text), true, text);
  }
  const wrong = [
    '',
    '1.2.3',
    '1.2.3.4/33',
    '::/129',
    'a',
    '1.2.3.4/08',
    '1.2.3.4/',
    'fe80::1%eth0',
  ];
  for (const text of wrong) assert.equal(isIpBlock(text), false, text);
  assert.equal(isIpAddress('10.0.0.0/8'), false);
});

test('a duration is whole milliseconds, at least one', () => {
  const problem = (text: string | undefined, zero?: true): string | undefined => {
    const found: Diagnostic[] = [];
    checkDuration(text, 'spec.d', (diagnostic) => found.push(diagnostic), zero ? { zero } : {});
    return found[0]?.message;
  };
  for (const text of ['1ms', '10s', '1h30m', '2.003s', '1.5s']) {
    assert.equal(problem(text), undefined, text);
  }
  assert.equal(problem(undefined), undefined);
  assert.match(problem('0s') ?? '', /greater than 1ms/);
  assert.equal(problem('0s', true), undefined);
  assert.match(problem('1us') ?? '', /greater than 1ms/);
  assert.match(problem('2.000000005s') ?? '', /whole milliseconds/);
  assert.match(problem('soon') ?? '', /must be a valid duration/);
  assert.match(problem('10') ?? '', /must be a valid duration/);
});
