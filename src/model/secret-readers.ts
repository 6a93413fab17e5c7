/** A service account, as far as it matters for what its workloads may be handed. */
export interface SecretReader {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/**
 * Which Secrets of its own namespace a service account may read at the API server. Immutable: other
 * rights, another object.
 */
export interface SecretReaders {
  mayRead(account: SecretReader, secret: string): boolean;
}

/** Where nobody keeps rights: objects in files, without an API server. */
export const EVERY_READER: SecretReaders = { mayRead: () => true };
