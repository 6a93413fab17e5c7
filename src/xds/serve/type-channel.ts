import type { Clock } from '#base/clock.ts';
import { GRPC_STATUS, GrpcStatusError } from '#base/grpc/grpc.ts';
import { LIMITS } from '#base/limits.ts';
import type { DeltaDiscoveryRequest } from '#gen/envoy-api/envoy/service/discovery/v3/discovery_pb.js';
import type { XdsResource } from '#xds/resource.ts';
import { Acceptance, type TypeProgress } from '#xds/serve/acceptance.ts';
import { nextStep } from '#xds/serve/joint-steps.ts';
import type { TypeStatus } from '#xds/serve/proxy-status.ts';
import { type Push, PushLedger } from '#xds/serve/push-ledger.ts';
import { Rejections } from '#xds/serve/rejections.ts';
import {
  NO_CHANGE,
  type ResourceChange,
  type ResourceDiffs,
  type ResourceMap,
} from '#xds/serve/resource-diff.ts';
import type { ResourceType } from '#xds/serve/resource-types.ts';
import { Subscription, WILDCARD } from '#xds/serve/subscription.ts';

/** What a channel needs from its stream. */
export interface TypeChannelDeps {
  readonly diffs: ResourceDiffs;
  readonly clock: Clock;
  /** Sends a response; returns its nonce. */
  send(type: ResourceType, change: ResourceChange): string;
}

/** All resources of a type at a version of the source. */
export interface VersionedMap {
  readonly map: ResourceMap;
  readonly version: number;
}

/** How a proxy answered a response. */
export interface Answer {
  readonly push: Push;
  /** Envoy's words when it rejected the response. */
  readonly error: string | undefined;
}

/** One resource type on one delta stream: what is subscribed to, what was sent, how it went. */
export class TypeChannel {
  readonly type: ResourceType;
  readonly #deps: TypeChannelDeps;
  readonly #ledger = new PushLedger();
  readonly #acceptance = new Acceptance();
  #subscription: Subscription;
  #begun = false;
  /** Whether the subscription is a guess, and so is what the proxy has. */
  #assumed = false;
  #holdsRemovals = false;
  /** Made with the first rejection. */
  #rejections: Rejections | undefined;
  /** Whether the proxy waits for a response even when there is nothing to tell. */
  #mustAnswer = false;
  #acked: TypeStatus['acked'];
  #nacked: TypeStatus['nacked'];

  constructor(type: ResourceType, deps: TypeChannelDeps) {
    this.type = type;
    this.#deps = deps;
    this.#subscription = this.#noSubscription();
  }

  /** Whether removed names were left for later. */
  get holdsRemovals(): boolean {
    return this.#holdsRemovals;
  }

  /** The responses that wait for an answer. */
  get unanswered(): PushLedger {
    return this.#ledger;
  }

  /** What the proxy does not take. */
  get rejections(): Rejections {
    this.#rejections ??= new Rejections(this.type);
    return this.#rejections;
  }

  /** Whether there is anything that the proxy does not take. */
  get rejects(): boolean {
    return this.#rejections !== undefined && this.#rejections.all.length > 0;
  }

  /** Milliseconds for which an unanswered response still holds back the next. */
  waitMs(nowMs: number): number {
    return this.#ledger.waitMs(nowMs, this.type.answerMsMax);
  }

  /**
   * Takes the subscriptions in a request.
   * @throws GrpcStatusError RESOURCE_EXHAUSTED when they are too many
   */
  subscribe(request: DeltaDiscoveryRequest): void {
    const { resourceNamesSubscribe: names, initialResourceVersions: versions } = request;
    const first = !this.#begun;
    this.#begun = true;
    if (this.#assumed) this.#subscription = this.#noSubscription();
    this.#assumed = false;
    if (first) this.#subscription.resume(versions);
    const asked = first && names.length === 0 && this.type.wildcardByDefault ? [WILDCARD] : names;
    this.#bound(asked);
    this.#subscription.subscribe(asked, { resumed: first });
    if (asked.length > 0) this.#acceptance.reopened();
    this.#subscription.unsubscribe(request.resourceNamesUnsubscribe);
    if (asked.includes(WILDCARD) && Object.keys(versions).length === 0) this.#mustAnswer = true;
  }

  /** Acts as if the proxy had asked for everything, of which it may have anything. */
  assume(): void {
    this.#assumed = true;
    this.#subscription.subscribe([WILDCARD], { resumed: false });
  }

  /** The answer that a request is; undefined when it is none, or to a response long forgotten. */
  takeAnswer(request: DeltaDiscoveryRequest, at: number): Answer | undefined {
    const nonce = request.responseNonce;
    const push = this.#ledger.answered(nonce);
    if (!push) return undefined;
    const error = request.errorDetail?.message;
    if (error === undefined) this.#acked = { nonce, at };
    else this.#nacked = { nonce, at, message: error };
    return { push, error };
  }

  /** The proxy took a response. */
  accepted(push: Push): void {
    const isSearching = this.#rejections?.isSearching ?? false;
    this.#acceptance.accepted(push, !push.isPart && !isSearching);
  }

  /** These resources of a response are at fault. */
  refused(culprits: readonly XdsResource[], push: Push, message: string): void {
    const names = culprits.map(({ name }) => name);
    this.#acceptance.refuses(names, push, message);
  }

  /** How far the proxy is. */
  progress(): TypeProgress {
    const { version, refused } = this.#acceptance;
    return { version, refused, isWaiting: this.#ledger.count > 0 };
  }

  /** What the proxy should be told now. */
  changeTo(map: ResourceMap): ResourceChange {
    return this.#subscription.changeTo(map);
  }

  /** Whether everything is asked for. */
  get wildcard(): boolean {
    return this.#subscription.wildcard;
  }

  /** Whether a name is asked for. */
  includes(name: string): boolean {
    return this.#subscription.includes(name);
  }

  /** Makes the next response contain this resource, if it is asked for. */
  resend(name: string): void {
    this.#subscription.resend(name);
  }

  /**
   * Sends what the proxy should be told, or else what it should be told again; returns that, or
   * undefined when there is nothing.
   * @param holdRemovals leaves the removed names for a later call
   */
  push(
    { map: wanted, version }: VersionedMap,
    nowMs: number,
    holdRemovals = false,
  ): ResourceChange | undefined {
    const isJoint = this.type.name === 'ecds';
    const map = isJoint ? nextStep(this.#subscription.holding(), wanted) : wanted;
    const whole = this.#subscription.changeTo(map);
    const change = holdRemovals ? this.#deps.diffs.additionsIn(whole) : whole;
    const later = holdRemovals ? whole.removed : NO_CHANGE.removed;
    this.#holdsRemovals = later.length > 0;
    this.#rejections?.prune(map);
    this.#acceptance.prune(map);
    if (change === NO_CHANGE && !this.#mustAnswer) {
      if (later.length === 0) this.#subscription.moveTo(map);
      const again = this.#rejections?.nextRetry(
        (resource) => map.get(resource.name) === resource && this.includes(resource.name),
      );
      if (!again) {
        if (later.length === 0 && this.#ledger.count === 0) this.#acceptance.reached(version);
        return undefined;
      }
      const part = { changed: again, adds: false, removed: [] };
      return this.#send(part, { sentMs: nowMs, version, before: undefined, isPart: true });
    }
    this.#mustAnswer = false;
    const before = this.#assumed ? undefined : this.#subscription.holding();
    this.#subscription.moveTo(map, later);
    return this.#send(change, { sentMs: nowMs, version, before, isPart: map !== wanted });
  }

  /** Sends something apart from what is subscribed to, to undo what a response left behind. */
  repair(change: ResourceChange): void {
    const sentMs = this.#deps.clock.monotonicMs();
    this.#send(change, { sentMs, version: -1, before: undefined, repair: true });
  }

  status(): Omit<TypeStatus, 'synced'> {
    const { last } = this.#ledger;
    return {
      typeUrl: this.type.typeUrl,
      wildcard: this.#subscription.wildcard,
      subscribedCount: this.#subscription.namesCount,
      unansweredCount: this.#ledger.count,
      sent: last && { nonce: last.nonce, at: this.#wallClock(last.sentMs) },
      acked: this.#acked,
      nacked: this.#nacked,
      rejected: this.#rejections?.all ?? [],
    };
  }

  #wallClock(monotonicMs: number): number {
    const { clock } = this.#deps;
    return Math.round(clock.now() + monotonicMs - clock.monotonicMs());
  }

  #noSubscription(): Subscription {
    return new Subscription({ diffs: this.#deps.diffs, withdraws: this.type.withdraws });
  }

  #send(
    change: ResourceChange,
    how: Pick<Push, 'sentMs' | 'version' | 'before'> & Partial<Pick<Push, 'repair' | 'isPart'>>,
  ): ResourceChange {
    const nonce = this.#deps.send(this.type, change);
    this.#ledger.record({ nonce, change, repair: false, isPart: false, ...how });
    return change;
  }

  #bound(names: readonly string[]): void {
    const count = this.#subscription.namesCount + names.length;
    if (count > LIMITS.xdsNamesPerTypeMax) {
      const text = `more than ${LIMITS.xdsNamesPerTypeMax} resource names of one type`;
      throw new GrpcStatusError(GRPC_STATUS.resourceExhausted, text);
    }
    if (names.some((name) => name.length > LIMITS.xdsNameLengthMax)) {
      const text = `a resource name of more than ${LIMITS.xdsNameLengthMax} characters`;
      throw new GrpcStatusError(GRPC_STATUS.resourceExhausted, text);
    }
  }
}
