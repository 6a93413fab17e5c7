import type { Logger } from '#base/log.ts';
import type { ClusterEndpoints } from '#xds/serve/cluster-recovery.ts';
import type { ResourceType } from '#xds/serve/resource-types.ts';
import type { Answer, TypeChannelDeps } from '#xds/serve/type-channel.ts';

/** What the state of a stream needs from the connection that carries it. */
export interface StreamContext extends TypeChannelDeps {
  readonly log: Logger;
  /** Shared by all streams. */
  readonly endpoints: ClusterEndpoints;
  /** To be told of each answer. */
  answered(type: ResourceType, answer: Answer): void;
  /** To be told of answers to what was never sent, or long ago. */
  expiredNonce(type: ResourceType): void;
  /** Runs a step outside of a request; what it throws ends the stream. */
  guard(step: () => void): void;
}
