import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type CidrRange, CidrRangeSchema } from '#gen/envoy-api/envoy/config/core/v3/address_pb.js';
import {
  type HeaderMatcher,
  HeaderMatcherSchema,
} from '#gen/envoy-api/envoy/config/route/v3/route_components_pb.js';
import {
  type MetadataMatcher,
  MetadataMatcherSchema,
} from '#gen/envoy-api/envoy/type/matcher/v3/metadata_pb.js';
import {
  type StringMatcher,
  StringMatcherSchema,
} from '#gen/envoy-api/envoy/type/matcher/v3/string_pb.js';
import {
  type ValueMatcher,
  ValueMatcherSchema,
} from '#gen/envoy-api/envoy/type/matcher/v3/value_pb.js';
import type { AddressRange } from '#policy/authz/address-range.ts';
import type { TextMatch } from '#policy/authz/text-match.ts';

// Envoy's matchers in the form that Istio gives them.

/** Any text but the empty one, and any such text of one line, as Istio has it. */
const PRESENT = { anyLines: '(?s:.+)', oneLine: '.+' } as const;

/** A text that matches an expression as a whole. */
export function patternMatcher(regex: string): StringMatcher {
  return create(StringMatcherSchema, {
    matchPattern: { case: 'safeRegex', value: { regex } },
  });
}

/** A text. */
export function textMatcher(match: TextMatch): StringMatcher {
  if (match.match === 'present')
    return patternMatcher(match.spansLines ? PRESENT.anyLines : PRESENT.oneLine);
  if (match.match === 'pattern') return patternMatcher(match.value);
  return create(StringMatcherSchema, { matchPattern: { case: match.match, value: match.value } });
}

/**
 * A header, of which one value must match. Unlike elsewhere, `present` includes a header without
 * text.
 */
export function headerMatcher(
  name: string,
  match: TextMatch,
  options: { readonly ignoreCase?: boolean } = {},
): HeaderMatcher {
  if (match.match === 'present')
    return create(HeaderMatcherSchema, {
      name,
      headerMatchSpecifier: { case: 'presentMatch', value: true },
    });
  const matcher = textMatcher(match);
  matcher.ignoreCase = options.ignoreCase ?? false;
  return headerWith(name, matcher);
}

/** A header that a text matcher matches. */
export function headerWith(name: string, matcher: StringMatcher): HeaderMatcher {
  return create(HeaderMatcherSchema, {
    name,
    headerMatchSpecifier: { case: 'stringMatch', value: matcher },
  });
}

/** A block of addresses. */
export function cidrRange(range: AddressRange): CidrRange {
  return create(CidrRangeSchema, {
    addressPrefix: range.address,
    prefixLen: range.prefixLength,
  });
}

/** A text that a filter left in the metadata. */
export function textValue(match: TextMatch): ValueMatcher {
  return valueMatcher({ case: 'stringMatch', value: textMatcher(match) });
}

/** Anything that a filter left in the metadata, also `null`. */
export function presentValue(): ValueMatcher {
  return valueMatcher({ case: 'presentMatch', value: true });
}

const BOOLEANS = [true, false].map((value) => valueMatcher({ case: 'boolMatch', value }));

/** Any number that JSON can say. */
const ANY_NUMBER = valueMatcher({
  case: 'doubleMatch',
  value: {
    matchPattern: {
      case: 'range',
      value: { start: -Number.MAX_VALUE, end: Number.POSITIVE_INFINITY },
    },
  },
});

/**
 * Numbers and booleans that a filter left in the metadata, by their text; none for texts that begin
 * or end in something.
 */
export function literalValue(match: TextMatch): ValueMatcher[] {
  if (match.match === 'present') return [...BOOLEANS, ANY_NUMBER];
  if (match.match !== 'exact') return [];
  const { value } = match;
  if (value === 'true' || value === 'false')
    return [valueMatcher({ case: 'boolMatch', value: value === 'true' })];
  const number = Number(value);
  if (!Number.isFinite(number) || String(number) !== value) return [];
  return [
    valueMatcher({
      case: 'doubleMatch',
      value: { matchPattern: { case: 'exact', value: number } },
    }),
  ];
}

/** A list in the metadata of which one value matches. */
export function listValue(value: ValueMatcher): ValueMatcher {
  return valueMatcher({
    case: 'listMatch',
    value: { matchPattern: { case: 'oneOf', value } },
  });
}

/** A value that one of `matchers` matches. */
export function anyValue(matchers: readonly ValueMatcher[]): ValueMatcher {
  const [only, ...more] = matchers;
  if (only !== undefined && more.length === 0) return only;
  return valueMatcher({ case: 'orMatch', value: { valueMatchers: [...matchers] } });
}

/** What a filter left under a path of keys. */
export function metadataMatcher(
  filter: string,
  path: readonly string[],
  value: ValueMatcher,
): MetadataMatcher {
  return create(MetadataMatcherSchema, {
    filter,
    path: path.map((key) => ({ segment: { case: 'key' as const, value: key } })),
    value,
  });
}

function valueMatcher(
  matchPattern: MessageInitShape<typeof ValueMatcherSchema>['matchPattern'],
): ValueMatcher {
  return create(ValueMatcherSchema, matchPattern === undefined ? {} : { matchPattern });
}
