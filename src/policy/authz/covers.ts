import { type AddressRange, addressInRange } from '#policy/authz/address-range.ts';
import type { Condition, PathMatch } from '#policy/authz/condition.ts';
import type { TextMatch } from '#policy/authz/text-match.ts';

/**
 * Whether a condition can hold for no request at all: all that its values match its `notValues`
 * exclude. Says so only where it is sure.
 */
export function isContradictory(condition: Condition): boolean {
  const isExcluded = excludedBy(condition);
  return isExcluded !== undefined && isExcluded;
}

/**
 * Whether two conditions on one attribute exclude each other: single texts or numbers, of which
 * none is in both.
 */
export function excludeEachOther(a: Condition, b: Condition): boolean {
  if (a.on !== b.on || !ONE_VALUE.has(a.on)) return false;
  const [first, second] = [exactOf(a), exactOf(b)];
  if (!first || !second) return false;
  return ![...first].some((value) => second.has(value));
}

/**
 * Whether everything that meets all of `narrow` meets all of `wide`. Says so only where it is sure.
 */
export function clauseCovers(wide: readonly Condition[], narrow: readonly Condition[]): boolean {
  return wide.every((condition) => {
    const same = narrow.filter((one) => attributeOf(one) === attributeOf(condition));
    const isAsked =
      condition.values.length === 0 || same.some((one) => asksForLess(condition, one));
    return isAsked && (condition.notValues.length === 0 || excludesAll(condition, same));
  });
}

/** What a condition is about, but for the values that it names. */
function attributeOf(condition: Condition): string {
  const { values, notValues, field, notField, ...about } = condition;
  return JSON.stringify(about);
}

/** Whether all that one of the narrow values matches, one of the wide values does. */
function asksForLess(wide: Condition, narrow: Condition): boolean {
  return allMatched({ ...narrow, notValues: wide.values } as Condition);
}

/** Whether all that the condition excludes is excluded by one of the others. */
function excludesAll(condition: Condition, others: readonly Condition[]): boolean {
  return others.some((one) => allMatched({ ...one, values: condition.notValues } as Condition));
}

/** Whether each of the values is matched by one of `notValues`. */
function allMatched(condition: Condition): boolean {
  return excludedBy(condition) === true;
}

/** Attributes of which a request has one value. */
const ONE_VALUE: ReadonlySet<Condition['on']> = new Set<Condition['on']>([
  'principal',
  'method',
  'path',
  'port',
]);

/** The values of a condition that are all exact; undefined when some are not, or there are none. */
function exactOf({ values }: Condition): ReadonlySet<string | number> | undefined {
  const exact = (values as readonly unknown[]).map((value) => {
    if (typeof value === 'number') return value;
    const { match, value: text } = value as { readonly match?: string; readonly value?: string };
    return match === 'exact' ? text : undefined;
  });
  const known = exact.filter((value) => value !== undefined);
  return known.length > 0 && known.length === exact.length ? new Set(known) : undefined;
}

function excludedBy(condition: Condition): boolean | undefined {
  switch (condition.on) {
    case 'port':
      return allCovered(condition.values, condition.notValues, (not, value) => not === value);
    case 'sourceIp':
    case 'remoteIp':
    case 'destinationIp':
      return allCovered(condition.values, condition.notValues, rangeCovers);
    case 'serviceAccount':
      return allCovered(
        condition.values,
        condition.notValues,
        (not, value) => not.namespace === value.namespace && not.name === value.name,
      );
    case 'requestPrincipal':
      return allCovered(
        condition.values,
        condition.notValues,
        (not, value) =>
          textCovers(not.issuer, value.issuer) && textCovers(not.subject, value.subject),
      );
    case 'path':
      return allCovered(condition.values, condition.notValues, pathCovers);
    case 'metadata':
      return undefined;
    default:
      return allCovered(condition.values, condition.notValues, textCovers);
  }
}

function allCovered<M>(
  values: readonly M[],
  notValues: readonly M[],
  covers: (not: M, value: M) => boolean,
): boolean {
  if (values.length === 0 || notValues.length === 0) return false;
  return values.every((value) => notValues.some((not) => covers(not, value)));
}

/** Whether `wide` matches every text that `narrow` matches. */
function textCovers(wide: TextMatch, narrow: TextMatch): boolean {
  if (wide.match === 'present') return narrow.match !== 'pattern';
  if (narrow.match === 'present') return false;
  if (wide.match === 'pattern' || narrow.match === 'pattern')
    return wide.match === narrow.match && wide.value === narrow.value;
  if (wide.match === 'exact') return narrow.match === 'exact' && narrow.value === wide.value;
  if (narrow.match !== 'exact' && narrow.match !== wide.match) return false;
  return wide.match === 'prefix'
    ? narrow.value.startsWith(wide.value)
    : narrow.value.endsWith(wide.value);
}

function pathCovers(wide: PathMatch, narrow: PathMatch): boolean {
  if (wide.match === 'template' || narrow.match === 'template') {
    if (wide.match === 'present') return true;
    const isSame = wide.match === 'template' && narrow.match === 'template';
    return isSame && wide.template.text === narrow.template.text;
  }
  return textCovers(wide, narrow);
}

function rangeCovers(wide: AddressRange, narrow: AddressRange): boolean {
  if (wide.family !== narrow.family || wide.prefixLength > narrow.prefixLength) return false;
  return addressInRange(wide, narrow.address);
}
