import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  type Matcher,
  type Matcher_OnMatch,
  Matcher_OnMatchSchema,
} from '#gen/envoy-api/xds/type/matcher/v3/matcher_pb.js';
import { StringMatcherSchema } from '#gen/envoy-api/xds/type/matcher/v3/string_pb.js';
import { SERIAL_INPUT, withCertificate } from '#xds/generate/authz/caller-look-up.ts';
import { pack } from '#xds/generate/proto-values.ts';

const outcome = (value: string): Matcher_OnMatch =>
  create(Matcher_OnMatchSchema, {
    onMatch: {
      case: 'action',
      value: { name: value, typedConfig: pack(StringMatcherSchema, {}) },
    },
  });
const FOUND = outcome('found');
const OTHERWISE = outcome('otherwise');

/** What Envoy makes of a matcher that compares one input with a regular expression, as a whole. */
function outcomeFor(serial: string, { matcherType, onNoMatch }: Matcher) {
  assert.ok(matcherType.case === 'matcherList');
  const [only, ...more] = matcherType.value.matchers;
  assert.equal(more.length, 0);
  const asked = only?.predicate?.matchType;
  assert.ok(asked?.case === 'singlePredicate');
  assert.deepEqual(asked.value.input?.name, SERIAL_INPUT.name);
  const matcher = asked.value.matcher;
  assert.ok(matcher.case === 'valueMatch');
  const pattern = matcher.value.matchPattern;
  assert.ok(pattern.case === 'safeRegex');
  return new RegExp(`^(?:${pattern.value.regex})$`).test(serial) ? only?.onMatch : onNoMatch;
}

test('a caller has a certificate when it has a serial number, which is never empty', () => {
  const matcher = withCertificate(FOUND, OTHERWISE);
  for (const serial of ['0', '7f', '1a2b3c4d5e6f'])
    assert.deepEqual(outcomeFor(serial, matcher), FOUND, serial);
  assert.deepEqual(outcomeFor('', matcher), OTHERWISE);
});
