import { join } from 'node:path';
import type { Unready } from '#agent/envoy/readiness.ts';
import { JwtSvidCache } from '#agent/jwt/jwt-svid-cache.ts';
import { CertificateFiles } from '#agent/output/certificate-files.ts';
import type { SecretState } from '#agent/secrets/secret-state.ts';
import type { WorkloadSecret } from '#agent/secrets/workload-secret.ts';
import { WorkloadApi } from '#agent/workload-api/workload-api.ts';
import type { Clock } from '#base/clock.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import type { TokenAuthority } from '#caclient/ca-client.ts';

export interface SecretOutletsOptions {
  /** The folder of the workload's sockets. */
  readonly directory: string;
  /** Where the files go; none are written when it is left out. */
  readonly filesDirectory: string | undefined;
  /** Called when something became ready. */
  readonly onChange: () => void;
}

export interface SecretOutletsDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly authority: TokenAuthority;
  /** What outlives the agent, where that is asked for. */
  readonly state?: SecretState | undefined;
}

/**
 * How an application gets the certificate of its workload, beside its Envoy: the SPIFFE Workload
 * API on a socket, and files where that is asked for; and how the agent itself has it again after a
 * restart.
 */
export class SecretOutlets implements Component {
  readonly name = 'secret outlets';
  /** The unix socket of the Workload API. */
  readonly socketPath: string;
  readonly #api: WorkloadApi;
  readonly #files: CertificateFiles | undefined;
  readonly #state: SecretState | undefined;

  constructor(options: SecretOutletsOptions, deps: SecretOutletsDeps) {
    const { directory, filesDirectory, onChange: onWritten } = options;
    this.socketPath = join(directory, 'workload.sock');
    this.#state = deps.state;
    this.#api = new WorkloadApi(
      { socketPath: this.socketPath },
      { ...deps, tokens: new JwtSvidCache(deps) },
    );
    if (filesDirectory !== undefined)
      this.#files = new CertificateFiles({ directory: filesDirectory, onWritten }, deps);
  }

  /** @throws BulwarkError as each of them does */
  async start(): Promise<void> {
    await this.#state?.start();
    await this.#files?.start();
    await this.#api.start();
  }

  async close(): Promise<void> {
    await Promise.all([this.#api.close(), this.#files?.close(), this.#state?.close()]);
  }

  /** What an application that waits for the workload would miss. */
  get unready(): Unready | undefined {
    if (this.#files?.areThere ?? true) return undefined;
    return { reason: 'FilesMissing', message: 'the certificate files are not written yet' };
  }

  /** Hands this on from now on. The secret must have passed its checks. */
  publish(secret: WorkloadSecret): void {
    this.#api.publish(secret);
    this.#files?.publish(secret);
    this.#state?.publish(secret);
  }
}
