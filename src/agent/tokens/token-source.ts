import type { Secret } from '#base/secret.ts';

/** Where a workload's service account token comes from. */
export interface TokenSource {
  /** For messages: `token file /var/…`. */
  readonly description: string;
  /**
   * Whether a token is good once, for a first certificate; that certificate is then renewed by
   * itself.
   */
  readonly isForJoining?: boolean;
  /**
   * A token that is good now, as far as anybody can tell.
   * @throws BulwarkError AGENT_TOKEN_UNREADABLE or AGENT_TOKEN_REFUSED
   */
  token(): Promise<Secret<string>>;
  /**
   * To be told when the authority did not take the token: do not give the same one again if there
   * is another.
   */
  wasRefused(): void;
}
