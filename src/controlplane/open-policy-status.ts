import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import { Enforcement } from '#controlplane/enforcement.ts';
import type { Mesh } from '#controlplane/mesh.ts';
import { PolicyStatus } from '#controlplane/policy-status.ts';
import type { XdsFront } from '#controlplane/xds-front.ts';
import type { Store } from '#store/store.ts';

export interface OpenPolicyStatusDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

/** The status of the policies of a mesh, as its proxies take them. */
export function openPolicyStatus(
  mesh: Mesh,
  xds: Pick<XdsFront, 'progress' | 'onProgress'>,
  deps: OpenPolicyStatusDeps,
): PolicyStatus {
  const enforcement = new Enforcement({
    mesh: () => mesh.model.snapshot(),
    objectsOf: (workload) => mesh.objectsDeciding(workload),
    versionOf: (object) => mesh.model.versionOf(object),
    progress: () => xds.progress(),
  });
  const status = new PolicyStatus({
    ...deps,
    enforcement,
    findings: () => mesh.findings(),
    version: () => mesh.version,
  });
  xds.onProgress(() => status.progressed());
  return status;
}
