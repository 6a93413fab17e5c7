import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import { Enforcement } from '#controlplane/enforcement.ts';
import type { Mesh } from '#controlplane/mesh.ts';
import { PolicyStatus } from '#controlplane/policy-status.ts';
import { type ProviderEvidence, withProviderHealth } from '#controlplane/provider-health.ts';
import type { XdsFront } from '#controlplane/xds-front.ts';
import { GatewayApiStates } from '#policy/gateway/gateway-api-state.ts';
import type { Store } from '#store/store.ts';
import { servedWorkload } from '#xds/generate/inbound-builder.ts';
import type { TrustServer } from '#xds/serve/trust-server.ts';

export interface OpenPolicyStatusDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

/** What is known of the proxies of a mesh: a part of XdsFront. */
export interface ProxiesSource extends Pick<XdsFront, 'progress' | 'onProgress'> {
  readonly trust: Pick<TrustServer, 'connections'>;
}

/** The status of the policies of a mesh, as its proxies take them. */
export function openPolicyStatus(
  mesh: Mesh,
  xds: ProxiesSource,
  deps: OpenPolicyStatusDeps,
): PolicyStatus {
  const enforcement = new Enforcement({
    mesh: () => mesh.model.snapshot(),
    objectsOf: (workload) => mesh.objectsDeciding(workload),
    versionOf: (object) => mesh.model.versionOf(object),
    progress: () => xds.progress(),
  });
  const { connections } = xds.trust;
  const evidence = (): ProviderEvidence => ({
    nodes: xds.progress().map(({ node }) => node),
    connectionsOf: (node) => connections.of(node),
    objectsOf: (node) => mesh.objectsDeciding(servedWorkload(node, mesh.model.snapshot())),
  });
  const status = new PolicyStatus({
    ...deps,
    enforcement,
    findings: () => withProviderHealth(mesh.findings(), evidence()),
    gatewayApi: () => new GatewayApiStates(mesh.model.snapshot()),
    version: () => mesh.version,
  });
  xds.onProgress(() => status.progressed());
  connections.onProviders(() => status.recheck());
  return status;
}
