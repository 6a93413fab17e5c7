import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRegistry, toJson } from '@bufbuild/protobuf';
import { FilterSchema } from '#gen/envoy-api/envoy/config/listener/v3/listener_components_pb.js';
import { HeaderMutationSchema } from '#gen/envoy-api/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js';
import { RBACSchema as HttpRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { HttpFilterSchema } from '#gen/envoy-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { RBACSchema as NetworkRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import {
  customFilters,
  httpAuthzFilters,
  networkAuthzFilters,
  revokedPeersFilter,
} from '#xds/generate/authz/filters.ts';

const registry = createRegistry(HttpRbacSchema, NetworkRbacSchema, HeaderMutationSchema);

function discovery(type: string, rest: object, alternative: readonly string[] = []) {
  return {
    configSource: { ads: {}, resourceApiVersion: 'V3' },
    defaultConfig: {
      '@type': `type.googleapis.com/${type}`,
      // ALLOW, which is the default and left out, and no policies: nothing passes.
      rules: {},
      ...rest,
    },
    applyDefaultConfigWithoutWarming: true,
    typeUrls: [type, ...alternative].map((name) => `type.googleapis.com/${name}`),
  };
}

const HTTP_FILTERS = 'envoy.extensions.filters.http';
const NETWORK_FILTERS = 'envoy.extensions.filters.network';

describe('the filters that authorize', () => {
  it('of HTTP try AUDIT, DENY, then ALLOW, and deny everything until they know', () => {
    const configDiscovery = discovery(HttpRbacSchema.typeName, {}, [
      'envoy.extensions.common.matching.v3.ExtensionWithMatcher',
    ]);
    assert.deepEqual(
      httpAuthzFilters('peer').map((filter) => toJson(HttpFilterSchema, filter, { registry })),
      [
        { name: 'authz.http.audit', configDiscovery },
        { name: 'authz.http.deny', configDiscovery },
        { name: 'authz.http.allow', configDiscovery },
      ],
    );
  });

  it('of HTTP refuse who is revoked and ask providers, and deny everything until they know', () => {
    const configDiscovery = discovery(HttpRbacSchema.typeName, {});
    const asking = discovery(HttpRbacSchema.typeName, {}, [
      `${HTTP_FILTERS}.ext_authz.v3.ExtAuthz`,
    ]);
    const [provided, ...places] = [...customFilters(), revokedPeersFilter()].map((filter) =>
      toJson(HttpFilterSchema, filter, { registry }),
    );
    assert.equal(Object(provided).name, 'authz.http.provided');
    assert.deepEqual(places, [
      { name: 'authz.http.custom.0.rules', configDiscovery },
      { name: 'authz.http.custom.0.check', configDiscovery: asking },
      { name: 'authz.http.custom.1.rules', configDiscovery },
      { name: 'authz.http.custom.1.check', configDiscovery: asking },
      { name: 'authz.http.revoked', configDiscovery },
    ]);
  });

  it('of plain connections do the same under names of their own', () => {
    const base = { statPrefix: 'tcp.' };
    const configDiscovery = discovery(NetworkRbacSchema.typeName, base);
    const asking = discovery(NetworkRbacSchema.typeName, base, [
      `${NETWORK_FILTERS}.ext_authz.v3.ExtAuthz`,
    ]);
    assert.deepEqual(
      networkAuthzFilters().map((filter) => toJson(FilterSchema, filter, { registry })),
      [
        { name: 'authz.tcp.revoked', configDiscovery },
        { name: 'authz.tcp.custom.0.rules', configDiscovery },
        { name: 'authz.tcp.custom.0.check', configDiscovery: asking },
        { name: 'authz.tcp.custom.1.rules', configDiscovery },
        { name: 'authz.tcp.custom.1.check', configDiscovery: asking },
        { name: 'authz.tcp.audit', configDiscovery },
        { name: 'authz.tcp.deny', configDiscovery },
        { name: 'authz.tcp.allow', configDiscovery },
      ],
    );
  });
});
