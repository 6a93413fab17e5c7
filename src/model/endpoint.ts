import type { Workload } from '#model/workload.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** A place that the connections of a service port may go to. */
export interface Endpoint {
  readonly workload: Workload;
  /** The port that peers connect to. */
  readonly port: number;
  /**
   * The port that policies mean: the application's own. Other than `port` only where a proxy
   * listens beside it.
   */
  readonly workloadPort: number;
}

/** What is behind one service. The same object as before when nothing of it changed. */
export interface ServiceEndpoints {
  /**
   * By service port; a port without endpoints has an empty list. Sorted by address, then port, then
   * name.
   */
  readonly byPort: ReadonlyMap<number, readonly Endpoint[]>;
  /**
   * Every identity that may answer for the service, sorted. The same array as before when none came
   * or went.
   */
  readonly identities: readonly SpiffeId[];
  /**
   * Namespaces of endpoints that take mutual TLS but whose service account is not known, sorted.
   */
  readonly unnamedNamespaces: readonly string[];
}
