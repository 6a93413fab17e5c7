import type { MeshSettings } from '#model/mesh-settings.ts';
import { ServiceIndex } from '#model/service-index.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { PeerAuthenticator, type PeerPolicies } from '#policy/authn/inbound-mtls.ts';
import type { InboundMtls } from '#policy/authn/mtls-mode.ts';
import { targetsOf } from '#policy/authn/workload-policies.ts';
import { IdentityCache } from '#xds/generate/build-cache.ts';

const NO_SERVICES = new ServiceIndex(new Map());

/** What holds for the connections that workloads take, for builders that remember by identity. */
export class MtlsModes {
  readonly #authenticator: PeerAuthenticator;
  readonly #policies: IdentityCache<
    [
      MeshSnapshot['peerAuthentications'],
      MeshSnapshot['authenticationPolicies'],
      MeshSnapshot['meshPolicies'],
      ServiceIndex,
    ],
    PeerPolicies
  > = new IdentityCache((peerAuthentications, authenticationPolicies, meshPolicies, services) => ({
    peerAuthentications,
    authenticationPolicies,
    meshPolicies,
    services,
  }));
  readonly #targeting: IdentityCache<[MeshSnapshot['authenticationPolicies']], boolean> =
    new IdentityCache((policies) => policies.all().some((one) => targetsOf(one).length > 0));

  constructor(settings: MeshSettings) {
    this.#authenticator = new PeerAuthenticator(settings);
  }

  /**
   * Everything that modes depend on: the same object as long as none of it changed. Services are
   * part of it only where a policy names one.
   */
  policiesOf(mesh: MeshSnapshot): PeerPolicies {
    const { peerAuthentications, authenticationPolicies, meshPolicies } = mesh;
    const services = this.#targeting.get(authenticationPolicies) ? mesh.services : NO_SERVICES;
    return this.#policies.get(peerAuthentications, authenticationPolicies, meshPolicies, services);
  }

  /** What holds for the connections that `workload` takes. */
  of(workload: Workload, policies: PeerPolicies): InboundMtls {
    return this.#authenticator.inboundMtls(workload, policies);
  }
}
