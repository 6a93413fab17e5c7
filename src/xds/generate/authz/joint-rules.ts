import {
  clone,
  create,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { anyUnpackTo } from '@bufbuild/protobuf/wkt';
import { TypedExtensionConfigSchema } from '#gen/envoy-api/envoy/config/core/v3/extension_pb.js';
import {
  type Policy,
  PolicySchema,
  type RBAC,
  RBAC_Action,
  RBACSchema,
} from '#gen/envoy-api/envoy/config/rbac/v3/rbac_pb.js';
import { ResourceSchema } from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import { extensionConfig } from '#xds/generate/authz/extension-config.ts';
import type { XdsResource } from '#xds/resource.ts';

type Filter = { rules?: RBAC | undefined };

/** The rules of configurations that were made here, whatever their form. */
const plain = new WeakMap<XdsResource, RBAC | undefined>();

/**
 * The configuration of a filter that enforces DENY rules, which changes with that of ALLOW rules:
 * while both change, the old and the new rules deny.
 * @param other name of the configuration with the ALLOW rules
 * @param options.served the same rules in a form of another type
 */
export function denyingConfig<D extends DescMessage>(
  name: string,
  schema: D,
  message: MessageShape<D> & Filter,
  other: string,
  options: { readonly served?: XdsResource } = {},
): XdsResource {
  const joined = new WeakMap<XdsResource, XdsResource>();
  const join = (before: XdsResource): XdsResource => {
    const known = joined.get(before);
    if (known) return known;
    const both = clone(schema, message) as MessageShape<D> & Filter;
    const rules = plain.has(before) ? plain.get(before) : rulesOf(before, schema);
    if (rules) both.rules = joinedRules(rules, message.rules);
    const made = extensionConfig(name, schema, both);
    joined.set(before, made);
    return made;
  };
  const served = options.served ?? extensionConfig(name, schema, message);
  const resource = { ...served, joint: { other, join } };
  plain.set(resource, message.rules);
  return resource;
}

function rulesOf<D extends DescMessage>({ encoded }: XdsResource, schema: D): RBAC | undefined {
  const { resource } = fromBinary(ResourceSchema, encoded);
  const config =
    resource &&
    anyUnpackTo(resource, TypedExtensionConfigSchema, create(TypedExtensionConfigSchema));
  const filter = config?.typedConfig && anyUnpackTo(config.typedConfig, schema, create(schema));
  return (filter as Filter | undefined)?.rules;
}

/** Rules of both; one that is changed is there twice. The same in any order of the two. */
function joinedRules(before: RBAC, after: RBAC | undefined): RBAC {
  const policies = new Map(Object.entries(after?.policies ?? {}));
  for (const [name, policy] of Object.entries(before.policies)) {
    const isSame = (free: string): boolean => {
      const there = policies.get(free);
      return there === undefined || bytesOf(there).equals(bytesOf(policy));
    };
    let free = name;
    for (let count = 1; !isSame(free); count += 1) free = `${name}-before[${count}]`;
    policies.set(free, policy);
  }
  const sorted = [...policies].sort(([a], [b]) => (a < b ? -1 : 1));
  return create(RBACSchema, { action: RBAC_Action.DENY, policies: Object.fromEntries(sorted) });
}

function bytesOf(policy: Policy): Buffer {
  return Buffer.from(toBinary(PolicySchema, policy));
}
