import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRegistry, fromBinary, type JsonValue, toJson } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import type { AuthorizationPolicySpec } from '#api/kinds/authorization-policy.ts';
import { TypedExtensionConfigSchema } from '#gen/envoy-api/envoy/config/core/v3/extension_pb.js';
import { RBACSchema as HttpRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { RBACSchema as NetworkRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import { ResourceSchema } from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import {
  type AuthzConfigOptions,
  authzExtensionConfigs,
} from '#xds/generate/authz/extension-configs.ts';
import { TYPE_URL, type XdsResource } from '#xds/resource.ts';
import { authorizationOf, authorizationPolicy } from '../../../../test/kit/authorization-policy.ts';

const registry = createRegistry(HttpRbacSchema, NetworkRbacSchema);

function authorization(...specs: AuthorizationPolicySpec[]): WorkloadAuthorization {
  const policies = specs.map((spec, index) => authorizationPolicy(spec, { name: `p${index}` }));
  return authorizationOf(policies, 'strict');
}

/** What the resource of a name configures. */
function configOf(resources: readonly XdsResource[], name: string): JsonValue | undefined {
  const encoded = resources.find((resource) => resource.name === name)?.encoded;
  assert.ok(encoded, `${name} is there`);
  const { resource } = fromBinary(ResourceSchema, encoded);
  assert.ok(resource);
  const config = anyUnpack(resource, TypedExtensionConfigSchema);
  assert.equal(config?.name, name);
  return toJson(TypedExtensionConfigSchema, config, { registry });
}

const SAME_PORTS: AuthzConfigOptions = {};
const toPort = (...ports: string[]): AuthorizationPolicySpec => ({
  rules: [{ to: [{ operation: { ports } }] }],
});

const WITH_RULES = [
  ...['0.rules', '0.check', '1.rules', '1.check'].map((name) => `authz.http.custom.${name}`),
  ...['audit', 'deny', 'allow'].map((name) => `authz.http.${name}`),
  ...['0.rules', '0.check', '1.rules', '1.check'].map((name) => `authz.tcp.custom.${name}`),
  ...['deny', 'allow', 'audit'].map((name) => `authz.tcp.${name}`),
];

describe('the configurations of the filters', () => {
  it('are all there also when no policy selects the workload, and let everything pass', () => {
    const resources = authzExtensionConfigs(authorization(), SAME_PORTS);
    assert.deepEqual(
      resources.map(({ typeUrl, name }) => [typeUrl, name]),
      ['authz.http.provided', ...WITH_RULES].map((name) => [TYPE_URL.extensionConfig, name]),
    );
    for (const name of WITH_RULES)
      assert.ok(!('rules' in Object(Object(configOf(resources, name)).typedConfig)), name);
  });

  it('of the two filters of a chain keep their verdicts apart', () => {
    const resources = authzExtensionConfigs(authorization(), SAME_PORTS);
    const prefix = (name: string) => Object(configOf(resources, name)).typedConfig.rulesStatPrefix;
    assert.equal(prefix('authz.http.deny'), 'istio_deny_');
    assert.equal(prefix('authz.http.allow'), 'istio_allow_');
  });

  it('hold the rules, in the order of their names', () => {
    const resources = authzExtensionConfigs(
      authorization({ rules: [{}] }, { rules: [{}] }, { action: 'DENY', rules: [{}] }),
      SAME_PORTS,
    );
    const rules = (name: string) => Object(configOf(resources, name)).typedConfig.rules;
    assert.equal(rules('authz.http.deny').action, 'DENY');
    assert.deepEqual(Object.keys(rules('authz.http.allow').policies), [
      'ns[foo]-policy[p0]-rule[0]',
      'ns[foo]-policy[p1]-rule[0]',
    ]);
  });

  it('are the same objects for the same authorization', () => {
    const one = authorization(toPort('80'));
    assert.equal(authzExtensionConfigs(one, {}), authzExtensionConfigs(one, {}));
  });

  it('have the same bytes for the same policies', () => {
    const versions = () =>
      authzExtensionConfigs(authorization(toPort('80'), {}), {}).map(({ version }) => version);
    assert.deepEqual(versions(), versions());
  });
});

describe('ports of a policy in explicit mode', () => {
  const listenPorts = [
    { port: 80, listen: 20080 },
    { port: 8080, listen: 28080 },
  ];

  function permissionsOf(spec: AuthorizationPolicySpec, options: AuthzConfigOptions): JsonValue {
    const resources = authzExtensionConfigs(authorization(spec), options);
    const [policy] = Object.values(
      Object(configOf(resources, 'authz.http.allow')).typedConfig.rules.policies,
    );
    return Object(policy).permissions[0].andRules.rules;
  }

  it('are those on which the proxy listens for them', () => {
    assert.deepEqual(permissionsOf(toPort('80', '8080'), { listenPorts }), [
      { orRules: { rules: [{ destinationPort: 20080 }, { destinationPort: 28080 }] } },
    ]);
    assert.deepEqual(permissionsOf(toPort('80'), {}), [
      { orRules: { rules: [{ destinationPort: 80 }] } },
    ]);
  });

  it('that the workload does not have match nothing, even if the proxy listens there', () => {
    assert.deepEqual(permissionsOf(toPort('20080'), { listenPorts }), [{ notRule: { any: true } }]);
    const notPorts = { rules: [{ to: [{ operation: { notPorts: ['20080'] } }] }] };
    assert.deepEqual(permissionsOf(notPorts, { listenPorts }), [{ any: true }]);
  });

  it('make other resources only where a policy names them', () => {
    const other = [...listenPorts, { port: 9090, listen: 29090 }];
    const moved = [{ port: 80, listen: 30080 }, ...listenPorts.slice(1)];
    const one = authorization(toPort('80'));
    const resources = authzExtensionConfigs(one, { listenPorts });
    assert.equal(authzExtensionConfigs(one, { listenPorts: other }), resources);
    assert.notEqual(authzExtensionConfigs(one, { listenPorts: moved }), resources);
    const portless = authorization({ rules: [{}] });
    assert.equal(
      authzExtensionConfigs(portless, { listenPorts: moved }),
      authzExtensionConfigs(portless, { listenPorts }),
    );
  });
});
