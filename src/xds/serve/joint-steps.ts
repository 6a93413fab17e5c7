import type { XdsResource } from '#xds/resource.ts';
import type { ResourceMap } from '#xds/serve/resource-diff.ts';
import type { Holding } from '#xds/serve/subscription.ts';

/** Of a map, the resources that change with another one. */
const jointOf = new WeakMap<ResourceMap, readonly XdsResource[]>();
/** Steps on the way to a map, by the versions of what is different in them. */
const steps = new WeakMap<ResourceMap, Map<string, ResourceMap>>();

/**
 * What a proxy is to have next on its way to `wanted`, so that resources that make one decision
 * (JointChange) never decide as a mixture: first what refuses for both the old and the new pair,
 * then the other one, then the first one as it is wanted. Each step is a response of its own, sent
 * once the one before was answered. `wanted` itself where no such pair changes.
 */
export function nextStep(has: Pick<Holding, 'resource'>, wanted: ResourceMap): ResourceMap {
  const different = joint(wanted).flatMap((resource) => heldBack(resource, has, wanted));
  if (different.length === 0) return wanted;
  const known = steps.get(wanted) ?? new Map<string, ResourceMap>();
  steps.set(wanted, known);
  const key = different.map(({ name, version }) => `${name} ${version}`).join(' ');
  const step =
    known.get(key) ?? new Map([...wanted, ...different.map((one) => [one.name, one] as const)]);
  known.set(key, step);
  return step;
}

function joint(map: ResourceMap): readonly XdsResource[] {
  const found = jointOf.get(map) ?? [...map.values()].filter((resource) => resource.joint);
  jointOf.set(map, found);
  return found;
}

/** What of a pair is not as it is wanted yet. */
function heldBack(
  resource: XdsResource,
  has: Pick<Holding, 'resource'>,
  wanted: ResourceMap,
): readonly XdsResource[] {
  const { name, version, joint: change } = resource;
  const other = change && wanted.get(change.other);
  const hadThis = has.resource(name);
  const hadOther = change && has.resource(change.other);
  // What the proxy has is not known, or it has neither: there is nothing to keep.
  if (!other || !hadThis || !hadOther) return [];
  if (hadThis.version === version || hadOther.version === other.version) return [];
  const joined = change.join(hadThis);
  return joined.version === hadThis.version ? [hadThis] : [joined, hadOther];
}
