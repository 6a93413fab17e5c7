import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRegistry, toJson } from '@bufbuild/protobuf';
import { FilterSchema } from '#gen/envoy-api/envoy/config/listener/v3/listener_components_pb.js';
import { RBACSchema as HttpRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { HttpFilterSchema } from '#gen/envoy-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { RBACSchema as NetworkRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import { httpAuthzFilters, networkAuthzFilters } from '#xds/generate/authz/filters.ts';

const registry = createRegistry(HttpRbacSchema, NetworkRbacSchema);

function discovery(type: string, rest: object) {
  return {
    configSource: { ads: {}, resourceApiVersion: 'V3' },
    defaultConfig: {
      '@type': `type.googleapis.com/${type}`,
      // ALLOW, which is the default and left out, and no policies: nothing passes.
      rules: {},
      ...rest,
    },
    applyDefaultConfigWithoutWarming: true,
    typeUrls: [`type.googleapis.com/${type}`],
  };
}

describe('the filters that authorize', () => {
  it('of HTTP ask for who is revoked, DENY, then ALLOW, and deny everything until they know', () => {
    const configDiscovery = discovery(HttpRbacSchema.typeName, {});
    assert.deepEqual(
      httpAuthzFilters('peer').map((filter) => toJson(HttpFilterSchema, filter, { registry })),
      [
        { name: 'authz.http.revoked', configDiscovery },
        { name: 'authz.http.deny', configDiscovery },
        { name: 'authz.http.allow', configDiscovery },
      ],
    );
  });

  it('of plain connections do the same under names of their own', () => {
    const configDiscovery = discovery(NetworkRbacSchema.typeName, { statPrefix: 'tcp.' });
    assert.deepEqual(
      networkAuthzFilters().map((filter) => toJson(FilterSchema, filter, { registry })),
      [
        { name: 'authz.tcp.revoked', configDiscovery },
        { name: 'authz.tcp.deny', configDiscovery },
        { name: 'authz.tcp.allow', configDiscovery },
      ],
    );
  });
});
