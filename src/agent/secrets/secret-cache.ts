import { checkIssuedChain } from '#agent/ca/issued-chain.ts';
import type { AgentMetrics } from '#agent/metrics.ts';
import { findRenewalReason, type RenewalReason, renewalTime } from '#agent/secrets/renewal.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { explainRefusedToken } from '#agent/tokens/token-claims.ts';
import type { TokenSource } from '#agent/tokens/token-source.ts';
import { Alarm } from '#base/alarm.ts';
import { Backoff } from '#base/backoff.ts';
import { type Clock, delay } from '#base/clock.ts';
import { BulwarkError, describeError, isBulwarkError } from '#base/errors.ts';
import type { Lanes } from '#base/lanes.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import { Secret } from '#base/secret.ts';
import type { CaCredential, CertificateAuthority } from '#caclient/ca-client.ts';
import { buildCsr } from '#pki/csr.ts';
import { keyPairToPem } from '#pki/key-export.ts';
import { type KeyChoice, makeKeyPair } from '#pki/keys.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

export interface SecretCacheOptions {
  readonly identity: SpiffeId;
  /** The same account under other names of the trust domain: the authority may change to these. */
  readonly identityAliases?: readonly SpiffeId[];
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The audience that tokens should have, for messages. */
  readonly audience: string;
  /** Milliseconds of lifetime to ask for. */
  readonly ttlMs: number;
  /** The kind of its keys; P-256 when left out. */
  readonly key?: KeyChoice;
  /** Called with each new secret, at once. */
  readonly onSecret: (secret: WorkloadSecret) => void;
  /** Called when an attempt failed. */
  readonly onFailure: (error: unknown) => void;
}

export interface SecretCacheDeps {
  readonly authority: CertificateAuthority;
  /** Shared by all that ask for certificates at one time. */
  readonly lanes: Lanes;
  readonly tokens: TokenSource;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: AgentMetrics;
}

/** What the status shows. */
export interface SecretStatus {
  /** Certificates after the first one. */
  readonly renewals: number;
  /** When the next one is asked for, wall-clock milliseconds. */
  readonly renewAt: number | undefined;
  /** Attempts that failed since the last success. */
  readonly failures: number;
  readonly lastError: string | undefined;
}

/** Pauses after a failure. */
const RETRY_DELAY = { delayMsMin: 200, delayMsMax: 30_000 };
/** Without any certificate the workload does not serve: retry sooner. */
const FIRST_RETRY_MS_MAX = 5000;
/**
 * Timers stand still while a machine sleeps, and its clock may be set: look at the clock this
 * often.
 */
const LOOK_MS_MAX = 60_000;
const NOTHING = Promise.resolve(undefined);

/**
 * The key and certificate of one workload. Each certificate has a key of its own, made here, that
 * never leaves the memory of this process but to its Envoy. While the authority is away, or
 * refuses, the last certificate stays.
 */
export class SecretCache implements Component {
  readonly name = 'secret cache';
  readonly #options: SecretCacheOptions;
  readonly #deps: SecretCacheDeps;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  readonly #alarm: Alarm;
  #running: Promise<void> | undefined;
  #secret: WorkloadSecret | undefined;
  #renewAt = 0;
  #renewals = 0;
  #lastError: string | undefined;
  #requested: { readonly atMs: number; readonly reason: RenewalReason } | undefined;

  constructor(options: SecretCacheOptions, deps: SecretCacheDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#backoff = new Backoff(RETRY_DELAY, deps.random);
    this.#alarm = new Alarm(deps.clock);
  }

  /** The last certificate that passed every check. */
  get current(): WorkloadSecret | undefined {
    return this.#secret;
  }

  get status(): SecretStatus {
    return {
      renewals: this.#renewals,
      renewAt: this.#secret && this.#renewAt,
      failures: this.#backoff.attempts,
      lastError: this.#lastError,
    };
  }

  /** Has the certificate renewed in `delayMs`, unless it is renewed before. */
  renewSoon(reason: RenewalReason, delayMs: number): void {
    if (this.#requested) return;
    this.#requested = { atMs: this.#deps.clock.monotonicMs() + delayMs, reason };
    this.#alarm.ring();
  }

  /** Goes on with a certificate from before a restart, which holds. To be called before `start`. */
  restore(secret: WorkloadSecret): void {
    this.#use(secret);
    this.#options.onSecret(secret);
  }

  /** Begins; the first certificate comes by `onSecret`. */
  async start(): Promise<void> {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#alarm.ring();
    await this.#running;
    this.#secret = undefined;
  }

  async #run(): Promise<void> {
    const { clock } = this.#deps;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const now = clock.now();
      const requestedMs = (this.#requested?.atMs ?? Number.POSITIVE_INFINITY) - clock.monotonicMs();
      const found = findRenewalReason({ secret: this.#secret, renewAt: this.#renewAt, now });
      const reason = found ?? (requestedMs <= 0 ? this.#requested?.reason : undefined);
      if (!reason) {
        await this.#alarm.wait(Math.min(this.#renewAt - now, requestedMs, LOOK_MS_MAX));
        continue;
      }
      try {
        await this.#renew(reason);
      } catch (error) {
        if (!signal.aborted) await this.#pauseAfter(error);
      }
    }
  }

  async #renew({ reason, message }: RenewalReason): Promise<void> {
    const { metrics, log, lanes } = this.#deps;
    const { signal } = this.#closing;
    // Whoever is closed while it waits for its turn asks for nothing.
    const secret = await lanes.run(() => (signal.aborted ? NOTHING : this.#obtain()));
    if (!secret || signal.aborted) return;
    if (this.#secret) {
      this.#renewals += 1;
      metrics.renewals.inc();
    }
    this.#use(secret);
    this.#requested = undefined;
    this.#backoff.reset();
    this.#lastError = undefined;
    log.info('certificate obtained', {
      reason,
      why: message,
      serial: secret.serial,
      // As text only where it is written.
      notAfter: new Date(secret.notAfterAt),
      renewAt: new Date(this.#renewAt),
    });
    this.#options.onSecret(secret);
  }

  #use(secret: WorkloadSecret): void {
    this.#secret = secret;
    this.#renewAt = renewalTime(secret, this.#deps.random.fraction());
  }

  async #obtain(): Promise<WorkloadSecret> {
    const { identity, identityAliases = [], ttlMs, key } = this.#options;
    const { clock } = this.#deps;
    const credential = await this.#credential();
    const keys = await makeKeyPair(key);
    const privateKeyPem = keyPairToPem(keys);
    const request = {
      csr: buildCsr(identity, keys),
      validitySeconds: Math.max(1, Math.round(ttlMs / 1000)),
      isAgent: true,
    };
    const chain = await this.#sign(request, credential);
    const obtainedAt = clock.now();
    const issued = checkIssuedChain(chain, {
      keys,
      identity,
      identityAliases,
      at: obtainedAt,
    });
    const { leaf, chainPem, rootsPem } = issued;
    return {
      identity: issued.identity,
      privateKeyPem,
      chainPem,
      rootsPem,
      serial: leaf.serial,
      notBeforeAt: leaf.notBeforeAt,
      notAfterAt: leaf.notAfterAt,
      obtainedAt,
    };
  }

  /** Where tokens are good once, the certificate renews itself as long as it is valid. */
  async #credential(): Promise<CaCredential> {
    const { tokens, clock, authority } = this.#deps;
    const secret = this.#secret;
    const now = clock.now();
    const isValid = secret && now >= secret.notBeforeAt && now < secret.notAfterAt;
    if (tokens.isForJoining && isValid) return secret;
    authority.prepare?.();
    return tokens.token();
  }

  async #sign(
    ...[request, credential]: Parameters<CertificateAuthority['sign']>
  ): Promise<readonly string[]> {
    const { authority, clock, metrics, tokens } = this.#deps;
    const labels = { request_type: 'csr' } as const;
    const startMs = clock.monotonicMs();
    metrics.outgoingRequests.inc(labels);
    if (this.#backoff.attempts > 0) metrics.outgoingRetries.inc(labels);
    try {
      return await authority.sign(request, credential);
    } catch (error) {
      metrics.failedOutgoingRequests.inc(labels);
      if (!isBulwarkError(error, 'CA_UNAUTHENTICATED')) throw error;
      if (!(credential instanceof Secret)) throw error;
      tokens.wasRefused();
      if (tokens.isForJoining) throw error;
      const { namespace, serviceAccount, audience } = this.#options;
      const expected = { audience, namespace, serviceAccount, at: clock.now() };
      const why = explainRefusedToken(credential.reveal(), expected);
      throw new BulwarkError(error.code, `${error.message} of ${tokens.description}`, {
        ...(why === undefined ? {} : { remedy: why }),
        data: error.data,
        cause: error.cause,
      });
    } finally {
      metrics.outgoingLatencyMs.inc(labels, clock.monotonicMs() - startMs);
    }
  }

  async #pauseAfter(error: unknown): Promise<void> {
    const { clock, log } = this.#deps;
    const { signal } = this.#closing;
    const retryMs = Math.min(this.#backoff.nextDelayMs(), this.#retryMsMax());
    this.#lastError = describeError(error);
    const fields = { attempt: this.#backoff.attempts, retryMs: Math.round(retryMs), error };
    if (this.#secret) log.warn('no new certificate; the old one stays in use', fields);
    else log.error('no certificate yet', fields);
    this.#options.onFailure(error);
    await delay(clock, retryMs, signal);
  }

  /** Never so long that a short-lived certificate expires in between. */
  #retryMsMax(): number {
    if (!this.#secret) return FIRST_RETRY_MS_MAX;
    const leftMs = this.#secret.notAfterAt - this.#deps.clock.now();
    return leftMs > 0 ? Math.max(RETRY_DELAY.delayMsMin, leftMs / 8) : FIRST_RETRY_MS_MAX;
  }
}
