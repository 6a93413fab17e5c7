import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { TYPE_URL, type XdsSnapshot } from '#xds/resource.ts';
import { AGENT_BOOTSTRAP } from './agent-bootstrap.ts';
import { ManagedProcess } from './child-process.ts';
import { envoyPath } from './envoy.ts';
import { temporaryDirectory } from './temp-directory.ts';
import { resourceJson } from './xds-json.ts';

/**
 * Lets the real Envoy judge a configuration, down to its extensions, without running it. Gives what
 * it says; rejects when it does not take it.
 */
export async function validateWithEnvoy(
  test: Pick<TestContext, 'after'>,
  snapshot: XdsSnapshot,
): Promise<string> {
  const config = join(temporaryDirectory(test), 'bootstrap.json');
  writeFileSync(config, JSON.stringify(staticBootstrap(snapshot)));
  const envoy = new ManagedProcess({
    name: 'envoy',
    command: envoyPath(),
    args: ['--mode', 'validate', '-c', config, '-l', 'warn'],
  });
  test.after(() => envoy.stop());
  await envoy.waitForLine((line) => (line.endsWith(' OK') ? line : undefined), 60_000);
  return envoy.lines.join('\n');
}

type Json = Readonly<Record<string, unknown>>;

/**
 * A configuration as one bootstrap: what Envoy would ask for later is put where it is asked for.
 */
function staticBootstrap(snapshot: XdsSnapshot): Json {
  const all = (typeUrl: keyof typeof TYPE_URL): unknown[] =>
    [...(snapshot.get(TYPE_URL[typeUrl])?.values() ?? [])].map((resource) =>
      inline(resourceJson(resource), snapshot),
    );
  return {
    node: { id: 'test', cluster: 'test' },
    ...AGENT_BOOTSTRAP,
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds-grpc' } }],
      },
    },
    static_resources: {
      listeners: all('listener'),
      clusters: [nowhere('xds-grpc'), nowhere('sds-grpc'), ...all('cluster')],
    },
  };
}

function inline(value: unknown, snapshot: XdsSnapshot): unknown {
  if (Array.isArray(value)) return value.map((item) => inline(item, snapshot));
  if (typeof value !== 'object' || value === null) return value;
  const node: Record<string, unknown> = { ...value };
  const resource = (typeUrl: keyof typeof TYPE_URL, name: unknown): unknown => {
    const found = snapshot.get(TYPE_URL[typeUrl])?.get(String(name));
    assert(found, `${typeUrl} ${name} is referred to and not there`);
    return resourceJson(found);
  };
  if (node.rds) {
    node.route_config = resource('route', (node.rds as Json).route_config_name);
    delete node.rds;
  }
  if (node.config_discovery) {
    node.typed_config = (resource('extensionConfig', node.name) as Json).typed_config;
    delete node.config_discovery;
  }
  return Object.fromEntries(
    Object.entries(node).map(([key, part]) => [key, inline(part, snapshot)]),
  );
}

/** A gRPC server that is never called. */
function nowhere(name: string): Json {
  const address = { pipe: { path: '/nonexistent' } };
  const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  return {
    name,
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
    typed_extension_protocol_options: {
      [options]: {
        '@type': `type.googleapis.com/${options}`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
}
