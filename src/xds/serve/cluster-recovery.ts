import { fromBinary } from '@bufbuild/protobuf';
import {
  type Cluster,
  Cluster_DiscoveryType,
  ClusterSchema,
} from '#gen/envoy-api/envoy/config/cluster/v3/cluster_pb.js';
import { ResourceSchema } from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import type { XdsResource } from '#xds/resource.ts';
import type { Push, PushLedger } from '#xds/serve/push-ledger.ts';
import type { ResourceChange } from '#xds/serve/resource-diff.ts';

/**
 * Milliseconds without an answer for clusters after which a hidden rejection is assumed. Warming up
 * ends by itself within Envoy's `initial_fetch_timeout` of 15 s.
 */
const SILENCE_MS = 20_000;

/**
 * Gets Envoy out of the state in which it answers nothing more for clusters.
 *
 * Envoy 1.40 gives no answer while a cluster warms up, and a cluster that it rejects late (bad ring
 * hash sizes, for one) stays among the warming ones for ever: the configuration works, but no
 * answer for clusters comes again, and if that cluster was new, not even its own rejection. What
 * ends this is the removal of that cluster, or another version of it. So
 *
 * - after a rejection, a cluster at fault is put back to the version that the proxy had, or removed
 *   when it was new. Neither touches anything when the rejection was an early one;
 * - after a long silence, the new clusters among what is unanswered are removed once, upon which
 * the
 *   answers come, and those not at fault are sent again. They are away for a few milliseconds.
 */
export class ClusterRecovery {
  /** By name, of rejected clusters: the version before. */
  readonly #lastGood = new Map<string, XdsResource>();
  /** Clusters that were removed because of silence, so that it happens once to each. */
  readonly #probed = new WeakSet<XdsResource>();

  /** What undoes a rejected response: `culprits` are the clusters in it that are at fault. */
  afterRejection(push: Push, culprits: readonly XdsResource[]): ResourceChange {
    const changed: XdsResource[] = [];
    const removed: string[] = [];
    for (const { name } of culprits) {
      const good = this.#lastGood.get(name) ?? push.before?.resource(name);
      if (good) {
        this.#lastGood.set(name, good);
        changed.push(good);
      } else if (push.before?.lacks(name)) {
        removed.push(name);
      }
      // Otherwise it has a version from an earlier stream, which must stay.
    }
    return { changed, adds: false, removed };
  }

  /** The proxy took these clusters. */
  accepted(clusters: readonly XdsResource[]): void {
    if (this.#lastGood.size === 0) return;
    for (const { name } of clusters) this.#lastGood.delete(name);
  }

  /** Names of new clusters to be removed to end a silence, each once. */
  suspects({ all }: PushLedger): readonly string[] {
    const names = new Set<string>();
    for (const { change, before } of all) {
      for (const cluster of change.changed) {
        if (!before?.lacks(cluster.name) || this.#probed.has(cluster)) continue;
        this.#probed.add(cluster);
        names.add(cluster.name);
      }
    }
    return [...names];
  }
}

/** Milliseconds until responses for clusters were unanswered for too long; undefined for none. */
export function silenceMs({ oldest }: PushLedger, nowMs: number): number | undefined {
  return oldest && Math.max(0, oldest.sentMs + SILENCE_MS - nowMs);
}

/** Which endpoints clusters take, read from their encoded form once for each cluster. */
export class ClusterEndpoints {
  readonly #names = new WeakMap<XdsResource, string | undefined>();

  /** The name of the ClusterLoadAssignment of a cluster; undefined when it takes none. */
  nameOf(cluster: XdsResource): string | undefined {
    if (this.#names.has(cluster)) return this.#names.get(cluster);
    const { resource } = fromBinary(ResourceSchema, cluster.encoded);
    const name = resource && endpointsName(fromBinary(ClusterSchema, resource.value));
    this.#names.set(cluster, name);
    return name;
  }
}

function endpointsName(cluster: Cluster): string | undefined {
  const { clusterDiscoveryType: kind, edsClusterConfig, name } = cluster;
  if (kind.case !== 'type' || kind.value !== Cluster_DiscoveryType.EDS) return undefined;
  return edsClusterConfig?.serviceName || name;
}
