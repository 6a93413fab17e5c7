import type { Clock } from '#base/clock.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** The certificate that a workload opened its stream with. */
export interface TrustCertificate {
  /** Lower case hex. */
  readonly serial: string;
  /** Key id of the certificate that signed it, lower case hex; undefined when it names none. */
  readonly authorityKeyId: string | undefined;
  /** Wall-clock milliseconds. */
  readonly notAfterAt: number;
}

/** A workload as its agent introduced it, proven by its certificate. */
export interface TrustPeerIdentity {
  readonly nodeId: string;
  readonly identity: SpiffeId;
  readonly namespace: string;
  readonly workloadName: string;
  readonly certificate: TrustCertificate;
}

/** A workload and what is proven about its trust. */
export interface TrustPeer extends TrustPeerIdentity {
  readonly isConnected: boolean;
  /** The version that its Envoy took last; undefined when none is known. */
  readonly accepted: string | undefined;
  /** Why it did not take a version; undefined once it took one. */
  readonly refusal: string | undefined;
}

/**
 * What stays the same of a workload when the trust domain changes: its account and its name. Two
 * texts are equal for the same workload.
 */
export function workloadKey({
  identity,
  nodeId,
}: Pick<TrustPeerIdentity, 'identity' | 'nodeId'>): string {
  const path = identity.slice(identity.indexOf('/', 'spiffe://'.length));
  return `${path} ${nodeId}`;
}

interface PeerEntry {
  peer: TrustPeer;
  /** The stream that counts; an older one of the same workload does not. */
  stream: unknown;
  /** Wall-clock milliseconds until which it stays, though its certificate may have expired. */
  readonly keptUntil: number;
}

/** Agents come back within seconds of a start of the server. */
const RESTORED_MS = 60_000;

/**
 * The workloads that were here. One that vanished stays in the list until its certificate has
 * expired, because its Envoy may still serve; one that said farewell does not. Of those that came
 * with one certificate, only the last one stays when it vanished: it is one workload, whatever
 * names it gives itself, and must not fill the list, which a rotation waits for.
 */
export class TrustPeers {
  readonly #clock: Clock;
  readonly #entries = new Map<string, PeerEntry>();
  /** By the serial number of a certificate, who came with it last. */
  readonly #keys = new Map<string, string>();
  readonly #listeners = new Set<() => void>();
  readonly #renameListeners = new Set<(peer: TrustPeer) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** All of them whose certificate holds, in the order in which they came. */
  all(): readonly TrustPeer[] {
    const now = this.#clock.now();
    for (const [key, { peer, keptUntil }] of this.#entries) {
      const until = Math.max(peer.certificate.notAfterAt, keptUntil);
      if (!peer.isConnected && until < now) this.#forget(key);
    }
    return [...this.#entries.values()].map(({ peer }) => peer);
  }

  /**
   * Adds workloads that were here before a restart, as away. Also those whose certificate expired
   * meanwhile, for a while: they may be about to come back for another one.
   */
  restore(known: readonly TrustPeerIdentity[]): void {
    const keptUntil = this.#clock.now() + RESTORED_MS;
    for (const one of known) {
      const peer = { ...one, isConnected: false, accepted: undefined, refusal: undefined };
      const key = workloadKey(one);
      if (!this.#entries.has(key)) {
        this.#keep(key, { peer, stream: undefined, keptUntil });
      }
    }
  }

  /** Calls `listener` after each change, until the function that it returns is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls `listener` when a workload serves with an identity of another trust domain. */
  onRenamed(listener: (peer: TrustPeer) => void): void {
    this.#renameListeners.add(listener);
  }

  /** The identity that the Envoy of a workload serves with now, as far as that is proven. */
  identityOf(workload: Pick<TrustPeerIdentity, 'identity' | 'nodeId'>): SpiffeId | undefined {
    const peer = this.#entries.get(workloadKey(workload))?.peer;
    return peer?.isConnected ? peer.identity : undefined;
  }

  /** A stream was opened; it counts from now on for this workload. Returns the key for it. */
  opened(introduced: TrustPeerIdentity, stream: unknown): string {
    const key = workloadKey(introduced);
    const before = this.#entries.get(key)?.peer;
    const refusal = before?.refusal;
    const peer = { ...introduced, isConnected: true, accepted: undefined, refusal };
    this.#keep(key, { peer, stream, keptUntil: 0 });
    this.#changed();
    if (before && before.identity !== peer.identity)
      for (const listener of this.#renameListeners) listener(peer);
    return key;
  }

  /** An answer to a version came on a stream. */
  answered(
    key: string,
    stream: unknown,
    { version, error }: { readonly version: string; readonly error: string | undefined },
  ): void {
    const entry = this.#entries.get(key);
    if (entry?.stream !== stream || !entry) return;
    const refused = error !== undefined;
    const accepted = refused ? entry.peer.accepted : version;
    entry.peer = { ...entry.peer, accepted, refusal: error };
    this.#changed();
  }

  /** A stream ended. */
  closed(key: string, stream: unknown, { isFarewell }: { readonly isFarewell: boolean }): void {
    const entry = this.#entries.get(key);
    if (entry?.stream !== stream || !entry) return;
    const isLast = this.#keys.get(entry.peer.certificate.serial) === key;
    if (isFarewell || !isLast) this.#forget(key);
    else entry.peer = { ...entry.peer, isConnected: false };
    this.#changed();
  }

  #keep(key: string, entry: PeerEntry): void {
    this.#release(key);
    const { serial } = entry.peer.certificate;
    const other = this.#keys.get(serial);
    if (other !== undefined && this.#entries.get(other)?.peer.isConnected === false)
      this.#entries.delete(other);
    this.#entries.set(key, entry);
    this.#keys.set(serial, key);
  }

  #forget(key: string): void {
    this.#release(key);
    this.#entries.delete(key);
  }

  #release(key: string): void {
    const serial = this.#entries.get(key)?.peer.certificate.serial;
    if (serial !== undefined && this.#keys.get(serial) === key) this.#keys.delete(serial);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
