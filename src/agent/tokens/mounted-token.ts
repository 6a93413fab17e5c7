import { join } from 'node:path';
import { TokenFile } from '#agent/tokens/token-file.ts';
import type { TokenSource } from '#agent/tokens/token-source.ts';
import { BulwarkError } from '#base/errors.ts';
import { pathExists } from '#base/files.ts';
import type { Logger } from '#base/log.ts';
import type { Secret } from '#base/secret.ts';

/** Where platforms mount tokens into pods; the first is for us alone, as Istio mounts it. */
const THIRD_PARTY = 'var/run/secrets/tokens/istio-token';
/** Kubernetes' own for its API server, in every pod. */
const FIRST_PARTY = 'var/run/secrets/kubernetes.io/serviceaccount/token';

export interface MountedTokenOptions {
  /** The folder that the paths of mounts count from; `/` outside of tests. */
  readonly root: string;
  /** Whether a token for the API server itself may be shown to the certificate authority. */
  readonly jwtPolicy: 'third-party-jwt' | 'first-party-jwt';
}

/**
 * The token that the platform mounted. What it supports shows in what is there: a token for the
 * certificate authority alone is taken wherever there is one; the one for the API server, which is
 * good for whoever reads it, only where the policy says so.
 */
export class MountedToken implements TokenSource {
  readonly description = 'token that the platform mounted';
  readonly #options: MountedTokenOptions;
  readonly #files: Readonly<Record<'third' | 'first', TokenFile>>;

  constructor(options: MountedTokenOptions, deps: { readonly log: Logger }) {
    this.#options = options;
    const { root } = options;
    this.#files = {
      third: new TokenFile(join(root, THIRD_PARTY), deps),
      first: new TokenFile(join(root, FIRST_PARTY), deps),
    };
  }

  async token(): Promise<Secret<string>> {
    const { root, jwtPolicy } = this.#options;
    if (await pathExists(join(root, THIRD_PARTY))) return this.#files.third.token();
    if (!(await pathExists(join(root, FIRST_PARTY)))) {
      throw unreadable('there is no token: neither a setting names one nor is one mounted', {
        remedy: 'set kubeconfig (KUBECONFIG), or tokenFile or joinTokenFile of the workload',
      });
    }
    if (jwtPolicy === 'first-party-jwt') return this.#files.first.token();
    throw unreadable('the platform mounted only a token for its API server (first-party)', {
      remedy:
        `mount one with the audience istio-ca as /${THIRD_PARTY}; where the platform cannot, set ` +
        'jwtPolicy to first-party-jwt for the server and the agent',
    });
  }

  /** The next use reads the file again anyway. */
  wasRefused(): void {}
}

function unreadable(message: string, options: { readonly remedy: string }): BulwarkError {
  return new BulwarkError('AGENT_TOKEN_UNREADABLE', message, options);
}
