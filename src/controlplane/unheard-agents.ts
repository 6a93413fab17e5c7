import type { Clock } from '#base/clock.ts';
import type { Component } from '#base/lifecycle.ts';
import { LIMITS } from '#base/limits.ts';
import type { IssuanceJournal, IssuanceRecord } from '#ca/journal/journal.ts';
import type { KnownProxy } from '#controlplane/trust-proof.ts';
import { parseSpiffeId, parseWorkloadId, type SpiffeId } from '#spiffe/spiffe-id.ts';
import { type TrustPeer, workloadKey } from '#xds/serve/trust-peers.ts';

/** An account of which agents have a certificate, and the last one did not come back yet. */
export interface UnheardAgent {
  /** `<service account>.<namespace>`. */
  readonly name: string;
  readonly identity: SpiffeId;
  /** For people. */
  readonly reason: string;
  /** Key id of the authority above its last certificate; '' when it is not known. */
  readonly issuerKeyId: string;
}

export interface UnheardAgentsDeps {
  readonly journal: Pick<IssuanceJournal, 'each'>;
  readonly clock: Clock;
}

interface Issued {
  /** The last certificate of each account, under whichever name of the trust domain. */
  readonly last: ReadonlyMap<string, IssuanceRecord>;
  /** The others, by serial. */
  readonly earlier: ReadonlySet<string>;
}

/**
 * Agents that were given a certificate before this start and have not come back. Whoever is
 * connected is remembered over a restart, but one that was about to connect for the first time when
 * the server was killed is not, nor is anybody when that memory is lost: the journal of
 * certificates is the only one that knows of them. For a while they count as missing; whoever got a
 * certificate and went for good would count for ever otherwise.
 */
export class UnheardAgents implements Component {
  readonly name = 'unheard-agents';
  readonly #deps: UnheardAgentsDeps;
  #startedAt = Number.POSITIVE_INFINITY;
  #endMs = Number.POSITIVE_INFINITY;
  /** Read when it is asked for: few starts are followed by a rotation at once. */
  #issued: Issued | undefined;

  constructor(deps: UnheardAgentsDeps) {
    this.#deps = deps;
  }

  /** To be called when agents can connect: the wait begins. */
  async start(): Promise<void> {
    const { clock } = this.#deps;
    this.#startedAt = clock.now();
    this.#endMs = clock.monotonicMs() + LIMITS.agentsAwaitedMs;
  }

  async close(): Promise<void> {
    this.#issued = undefined;
  }

  /** When the wait is over, RFC 3339. */
  get until(): string {
    const { clock } = this.#deps;
    return new Date(Math.min(this.#startedAt, clock.now()) + LIMITS.agentsAwaitedMs).toISOString();
  }

  /** Who was not heard yet; nobody once the time is over. */
  among({
    peers,
    proxies,
  }: {
    readonly peers: readonly TrustPeer[];
    readonly proxies: readonly KnownProxy[];
  }): readonly UnheardAgent[] {
    if (this.#deps.clock.monotonicMs() >= this.#endMs) {
      this.#issued = undefined;
      return [];
    }
    this.#issued ??= this.#read();
    const { last, earlier } = this.#issued;
    const known = new Set(peers.map(workloadKey));
    // These count by themselves: they say nothing of what they trust.
    const heard = new Set<string>(
      proxies.flatMap((proxy) => (known.has(workloadKey(proxy)) ? [] : [accountOf(proxy)])),
    );
    for (const peer of peers) if (!earlier.has(peer.certificate.serial)) heard.add(accountOf(peer));
    return [...last].flatMap(([account, one]) => (heard.has(account) ? [] : [this.#view(one)]));
  }

  #read(): Issued {
    const last = new Map<string, IssuanceRecord>();
    const earlier = new Set<string>();
    for (const record of this.#deps.journal.each()) {
      const { method, isAgent, issuedAt, serial } = record;
      if (method === 'control-plane' || isAgent === false || issuedAt >= this.#startedAt) continue;
      const account = accountOf(record);
      if (last.has(account)) earlier.add(serial);
      else last.set(account, record);
    }
    return { last, earlier };
  }

  #view({ identity: text, issuerKeyId }: IssuanceRecord): UnheardAgent {
    const identity = parseSpiffeId(text);
    const { namespace = '', serviceAccount = '' } = parseWorkloadId(identity) ?? {};
    const reason = `it has a certificate and was not heard since the start; waiting until ${this.until}`;
    return { name: `${serviceAccount}.${namespace}`, identity, reason, issuerKeyId };
  }
}

/** Whoever got another name in a change of the trust domain is who it was. */
function accountOf({ identity }: { readonly identity: string }): string {
  const workload = parseWorkloadId(parseSpiffeId(identity));
  return workload ? `${workload.namespace}/${workload.serviceAccount}` : identity;
}
