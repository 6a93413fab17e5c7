import type { MeshSettings } from '#model/mesh-settings.ts';
import type { Revocations } from '#model/revocations.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { bindingsOf, TokenPolicies } from '#policy/authn/jwt.ts';
import type { Authorizer } from '#policy/authz/selection.ts';
import { JwtConfigs } from '#xds/generate/authn/filter.ts';
import { authzExtensionConfigs } from '#xds/generate/authz/extension-configs.ts';
import { revokedConfigs } from '#xds/generate/authz/revoked-configs.ts';
import { IdentityCache } from '#xds/generate/build-cache.ts';
import { ClientCredentials } from '#xds/generate/client-credentials.ts';
import { ConsistencyCheck } from '#xds/generate/consistency.ts';
import { InboundBuilder, servedWorkload } from '#xds/generate/inbound-builder.ts';
import { MtlsModes } from '#xds/generate/mtls-modes.ts';
import { OutboundBuilder } from '#xds/generate/outbound-builder.ts';
import { SmallMaps } from '#xds/generate/resource-map.ts';
import { RUNTIME } from '#xds/generate/runtime.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import { TYPE_URL, type XdsResource, type XdsSnapshot } from '#xds/resource.ts';

/** What a generator works with. */
export interface ConfigGeneratorDeps {
  /** Of the same settings. Shared with whoever writes the status of policies. */
  readonly authorizer: Authorizer;
}

/**
 * Makes the configuration of proxies. `snapshotFor` is a pure function of its arguments: same
 * input, same bytes. It remembers what it built, by identity of the parts of the mesh, so that
 * proxies share resources and the work of a change follows the change.
 */
export class ConfigGenerator {
  readonly #authorizer: Authorizer;
  readonly #outbound: OutboundBuilder;
  readonly #inbound: InboundBuilder;
  readonly #consistency = new ConsistencyCheck();
  readonly #maps = new SmallMaps();
  readonly #credentials = new ClientCredentials();
  readonly #tokens: TokenPolicies;
  readonly #jwt: JwtConfigs;
  readonly #revoked: IdentityCache<[Revocations], readonly XdsResource[]>;

  /** `settings` are those of every mesh that it will be asked about. */
  constructor(settings: MeshSettings, deps: ConfigGeneratorDeps) {
    const modes = new MtlsModes(settings);
    this.#authorizer = deps.authorizer;
    this.#outbound = new OutboundBuilder(settings, modes);
    this.#inbound = new InboundBuilder(settings, modes);
    this.#tokens = new TokenPolicies(settings);
    this.#jwt = new JwtConfigs(settings.hardening);
    this.#revoked = new IdentityCache((revocations) => revokedConfigs(revocations, settings));
  }

  /**
   * Everything that `proxy` gets, as one consistent set: every name that a resource refers to is in
   * it.
   * @throws BulwarkError XDS_RESOURCE_INVALID when it is not; the proxy then keeps what it has.
   */
  snapshotFor(proxy: ProxyNode, mesh: MeshSnapshot): XdsSnapshot {
    const { explicit } = proxy;
    const workload = servedWorkload(proxy, mesh);
    const authorization = this.#authorizer.authorizationFor(workload, mesh);
    const tokens = this.#tokens.tokensFor(workload, mesh);
    const inbound = this.#inbound.build(proxy, workload, { authorization, tokens }, mesh);
    const secrets = this.#credentials.secretsOf(proxy, mesh);
    const upstreams = this.#outbound.upstreams(workload, mesh, { ...proxy, secrets });
    const outbound = explicit
      ? this.#outbound.explicit(workload, explicit, mesh, upstreams)
      : this.#outbound.redirected(workload, mesh, upstreams);
    const configs = authzExtensionConfigs(authorization, {
      listenPorts: explicit?.inbound,
      bindings: bindingsOf(tokens),
      hardening: mesh.settings.hardening,
      countsRules: mesh.settings.policyMetrics,
    });
    const revoked = this.#revoked.get(mesh.revocations);
    const jwt = this.#jwt.of(tokens, inbound.ports, mesh.keySets);
    const snapshot: XdsSnapshot = new Map([
      [TYPE_URL.cluster, this.#maps.extend(upstreams.clusters, inbound.clusters)],
      [TYPE_URL.endpoints, upstreams.endpoints],
      [TYPE_URL.secret, secrets.resources],
      [TYPE_URL.listener, this.#maps.extend(outbound.listeners, inbound.listeners)],
      [TYPE_URL.route, outbound.routes],
      [TYPE_URL.extensionConfig, this.#maps.of([...jwt, ...configs, ...revoked])],
      [TYPE_URL.runtime, RUNTIME[mesh.settings.hardening]],
    ]);
    this.#consistency.check(snapshot);
    return snapshot;
  }
}
