import { present } from '#base/assert.ts';
import type { Timer } from '#base/clock.ts';
import type { DeltaDiscoveryRequest } from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import type { XdsResource, XdsSnapshot } from '#xds/resource.ts';
import { ClusterRecovery, silenceMs } from '#xds/serve/cluster-recovery.ts';
import type { ProxyProgress, ProxyStatus, TypeStatus } from '#xds/serve/proxy-status.ts';
import { NO_CHANGE, NO_RESOURCES, type ResourceMap } from '#xds/serve/resource-diff.ts';
import { type DiscoveryName, PUSH_ORDER, RESOURCE_TYPES } from '#xds/serve/resource-types.ts';
import type { StreamContext } from '#xds/serve/stream-context.ts';
import { type Answer, TypeChannel, type VersionedMap } from '#xds/serve/type-channel.ts';

/** Milliseconds that Envoy has to ask for clusters once it asked for listeners. */
const CLUSTERS_ASKED_MS_MAX = 1000;
/** Milliseconds after which clusters that were removed to end a silence are sent again anyway. */
const PROBE_MS_MAX = 2000;

/**
 * What one proxy asked for and got, on one delta stream (xDS protocol, incremental variant).
 *
 * Whatever happens (a request, an answer, a new snapshot, a bound on waiting that passed), `#pump`
 * sends what can be sent now, in the order make before break: clusters, endpoints, filters,
 * listeners, routes, secrets; removed clusters last. Of each type one response at a time is
 * unanswered, and what changes meanwhile goes into the next. Only three things wait for another
 * type, each with a bound: listeners and routes for new clusters to warm up, listeners for policies
 * to be in force, removed clusters for listeners and routes. So endpoints and policies wait for
 * nobody.
 */
export class DeltaStream {
  readonly #context: StreamContext;
  /** In the order of pushes; undefined for what was not asked for. */
  readonly #channels: (TypeChannel | undefined)[] = RESOURCE_TYPES.map(() => undefined);
  readonly #recovery = new ClusterRecovery();
  /** Clusters that were removed to end a silence and are to be sent again. */
  #probe: { readonly names: readonly string[]; readonly endMs: number } | undefined;
  readonly #openedMs: number;
  #snapshot: XdsSnapshot | undefined;
  /** Of what the snapshot was made of. */
  #version = 0;
  #timer: Timer | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #owes = false;
  #closed = false;

  constructor(context: StreamContext) {
    this.#context = context;
    this.#openedMs = context.clock.monotonicMs();
  }

  /**
   * Takes a request: subscriptions, an answer, or both.
   * @throws GrpcStatusError when it asks for too much
   */
  request(request: DeltaDiscoveryRequest): void {
    const type = RESOURCE_TYPES.find(({ typeUrl }) => typeUrl === request.typeUrl);
    if (!type) {
      // Envoy asks for other types only when its bootstrap says so; it gets none, and may go on.
      this.#context.log.debug('unknown resource type asked for', { typeUrl: request.typeUrl });
      return;
    }
    const channel = this.#channel(type.name) ?? this.#openChannel(type.name);
    channel.subscribe(request);
    if (request.responseNonce !== '') this.#answered(channel, request);
    this.#pump();
  }

  /** What the proxy may have from now on, and the version of the source that it is from. */
  update(snapshot: XdsSnapshot, version: number, nowMs: number): void {
    this.#snapshot = snapshot;
    this.#version = version;
    this.#pump(nowMs);
  }

  /** Whether there was something to send that has to wait. */
  get owes(): boolean {
    return this.#owes;
  }

  /** Nothing is sent from now on. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /** Whether a type has resources that the proxy does not take. */
  rejects(name: DiscoveryName): boolean {
    return this.#channel(name)?.rejects ?? false;
  }

  /** How far the proxy is, by the types that it asked for. */
  progress(): ProxyProgress['types'] {
    const open = this.#channels.flatMap((channel) => channel ?? []);
    return Object.fromEntries(open.map((channel) => [channel.type.name, channel.progress()]));
  }

  status(): ProxyStatus['types'] {
    const types: Partial<Record<DiscoveryName, TypeStatus>> = {};
    for (const channel of this.#channels) {
      if (!channel) continue;
      const status = channel.status();
      const settled = status.unansweredCount === 0 && status.rejected.length === 0;
      const synced = settled && channel.changeTo(this.#mapOf(channel)) === NO_CHANGE;
      types[channel.type.name] = { ...status, synced };
    }
    return types;
  }

  #channel(name: DiscoveryName): TypeChannel | undefined {
    return this.#channels[PUSH_ORDER[name]];
  }

  #openChannel(name: DiscoveryName): TypeChannel {
    const type = present(RESOURCE_TYPES[PUSH_ORDER[name]], `resource type ${name}`);
    const channel = new TypeChannel(type, this.#context);
    this.#channels[PUSH_ORDER[name]] = channel;
    return channel;
  }

  #mapOf({ type }: TypeChannel): ResourceMap {
    return this.#snapshot?.get(type.typeUrl) ?? NO_RESOURCES;
  }

  #wanted(channel: TypeChannel): VersionedMap {
    return { map: this.#mapOf(channel), version: this.#version };
  }

  #answered(channel: TypeChannel, request: DeltaDiscoveryRequest): void {
    const { clock } = this.#context;
    const answer = channel.takeAnswer(request, clock.now());
    if (!answer) {
      this.#context.expiredNonce(channel.type);
      return;
    }
    if (!answer.push.repair) this.#judge(channel, answer);
    this.#context.answered(channel.type, answer);
    if (this.#probe && channel.type.name === 'cds' && channel.unanswered.count === 0)
      this.#endProbe(channel);
  }

  /** Draws the consequences of an answer, and of a rejection of clusters undoes what it left. */
  #judge(channel: TypeChannel, { push, error }: Answer): void {
    const { changed } = push.change;
    const clusters = channel.type.name === 'cds';
    if (error === undefined) {
      if (channel.rejects) channel.rejections.accepted(changed, this.#mapOf(channel));
      if (clusters) this.#recovery.accepted(changed);
      channel.accepted(push);
      return;
    }
    const { culprits } = channel.rejections.rejected(changed, error, this.#context.clock.now());
    channel.refused(culprits, push, error);
    if (!clusters) return;
    const repair = this.#recovery.afterRejection(push, culprits);
    if (repair.changed.length + repair.removed.length === 0) return;
    channel.repair(repair);
    this.#resendEndpoints(repair.changed);
  }

  #pump(nowMs = this.#context.clock.monotonicMs()): void {
    if (!this.#snapshot || this.#closed) return;
    let heldMs = Number.POSITIVE_INFINITY;
    for (const channel of this.#channels) {
      if (!channel) continue;
      const waitMs = this.#waitMs(channel, nowMs);
      if (waitMs === 0) this.#push(channel, nowMs);
      else if (channel.changeTo(this.#mapOf(channel)) !== NO_CHANGE)
        heldMs = Math.min(heldMs, waitMs);
      if (this.#closed) return;
    }
    const clusters = this.#channel('cds');
    if (clusters?.holdsRemovals)
      heldMs = Math.min(heldMs, this.#pushRemovedClusters(clusters, nowMs));
    this.#owes = heldMs < Number.POSITIVE_INFINITY;
    const lookMs = clusters ? this.#probeClusters(clusters, nowMs) : this.#assumeClusters(nowMs);
    this.#wakeAt(nowMs + Math.min(heldMs, lookMs), nowMs);
  }

  /**
   * Pumps again at that time at the latest; a timer that is due earlier is left to find nothing.
   */
  #wakeAt(dueMs: number, nowMs: number): void {
    if (this.#closed || dueMs >= this.#timerDueMs) return;
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    this.#timer = this.#context.clock.after(dueMs - nowMs, () => {
      this.#timerDueMs = Number.POSITIVE_INFINITY;
      this.#context.guard(() => this.#pump());
    });
  }

  /**
   * An Envoy that a bad cluster silenced (see ClusterRecovery) does not ask the next server for
   * clusters, and would get none for ever. It takes those that it did not ask for. Says when to
   * look again.
   */
  #assumeClusters(nowMs: number): number {
    if (!this.#channel('lds')?.wildcard) return Number.POSITIVE_INFINITY;
    const leftMs = this.#openedMs + CLUSTERS_ASKED_MS_MAX - nowMs;
    if (leftMs > 0) return leftMs;
    this.#context.log.warn('the proxy does not ask for clusters; sending them all the same');
    this.#openChannel('cds').assume();
    return 0;
  }

  #push(channel: TypeChannel, nowMs: number): void {
    const clusters = channel.type.name === 'cds';
    const change = channel.push(this.#wanted(channel), nowMs, clusters);
    if (clusters && change) this.#resendEndpoints(change.changed);
  }

  /** Milliseconds for which a type has to wait before its next response. */
  #waitMs(channel: TypeChannel, nowMs: number): number {
    const own = channel.waitMs(nowMs);
    const { name } = channel.type;
    if (own > 0 || (name !== 'lds' && name !== 'rds')) return own;
    const policiesMs = name === 'lds' ? this.#policiesMs(channel, nowMs) : 0;
    if (policiesMs > 0) return policiesMs;
    const clusters = this.#channel('cds');
    const clustersMs = clusters?.waitMs(nowMs) ?? 0;
    if (!clusters || clustersMs === 0) return 0;
    // Clusters that could not be sent yet: what refers to them comes after them.
    if (clusters.changeTo(this.#mapOf(clusters)).changed.length > 0) return clustersMs;
    // With more than one unanswered, Envoy does not answer at all: no use in waiting.
    const { count, oldest } = clusters.unanswered;
    return count === 1 && oldest?.change.adds ? clustersMs : 0;
  }

  /**
   * Listeners that change may end connections that other policies let in: those that come back must
   * find the new ones in force.
   */
  #policiesMs(listeners: TypeChannel, nowMs: number): number {
    if (listeners.changeTo(this.#mapOf(listeners)) === NO_CHANGE) return 0;
    return this.#channel('ecds')?.waitMs(nowMs) ?? 0;
  }

  /** Sends the removal of clusters once nothing can refer to them; else says how long to wait. */
  #pushRemovedClusters(clusters: TypeChannel, nowMs: number): number {
    for (const name of ['cds', 'lds', 'rds'] as const) {
      const channel = this.#channel(name);
      const waitMs = channel ? this.#waitMs(channel, nowMs) : 0;
      if (waitMs > 0) return waitMs;
    }
    clusters.push(this.#wanted(clusters), nowMs);
    return Number.POSITIVE_INFINITY;
  }

  /** Ends a silence about clusters (see ClusterRecovery); says when to look again. */
  #probeClusters(clusters: TypeChannel, nowMs: number): number {
    if (this.#probe) {
      if (this.#probe.endMs > nowMs) return this.#probe.endMs - nowMs;
      this.#endProbe(clusters);
      return 0;
    }
    const waitMs = silenceMs(clusters.unanswered, nowMs);
    if (waitMs !== 0) return waitMs ?? Number.POSITIVE_INFINITY;
    const removed = this.#recovery.suspects(clusters.unanswered);
    if (removed.length > 0) {
      this.#context.log.warn('no answer for clusters; removing new ones to find the one at fault', {
        clusters: removed,
      });
      this.#probe = { names: removed, endMs: nowMs + PROBE_MS_MAX };
      clusters.repair({ changed: [], adds: false, removed });
      return PROBE_MS_MAX;
    }
    return Number.POSITIVE_INFINITY;
  }

  #endProbe(clusters: TypeChannel): void {
    for (const name of this.#probe?.names ?? []) {
      if (!clusters.rejections.get(name)) clusters.resend(name);
    }
    this.#probe = undefined;
  }

  /**
   * Envoy warms up a changed cluster and waits for its endpoints without asking for them again:
   * they have to be sent again with the cluster.
   */
  #resendEndpoints(clusters: readonly XdsResource[]): void {
    const endpoints = this.#channel('eds');
    if (!endpoints) return;
    for (const cluster of clusters) {
      const name = this.#context.endpoints.nameOf(cluster);
      if (name !== undefined) endpoints.resend(name);
    }
  }
}
