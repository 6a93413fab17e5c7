import type { ApiObject } from '#api/object.ts';
import type { ErrorCode } from '#base/error-codes.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { HistoryBounds } from '#store/history.ts';
import type { Store, StoreEvent, StoreObserver } from '#store/store.ts';

/** What the suite needs of an implementation. */
export interface StoreSubject {
  /** A fresh, empty store. */
  open(options?: { readonly history?: HistoryBounds }): Promise<Store>;
  /** Closes the store and opens what it kept; left out when it keeps nothing. */
  reopen?(store: Store): Promise<Store>;
}

/** A config map as the suite uses it. */
export interface ConfigMap extends ApiObject {
  readonly data?: Record<string, string>;
}

/** A config map, which has no status and no generation. */
export function configMap(name: string, data: { k?: string } = {}, namespace = 'a') {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data };
}

/** `data` of a config map. */
export const dataOf = (object: ApiObject | undefined): unknown =>
  (object as ConfigMap | undefined)?.data;

/** An object with status and generation. */
export function policy(name: string, spec: object, status?: object) {
  const apiVersion = 'security.istio.io/v1';
  const metadata = { name, namespace: 'a' };
  return { apiVersion, kind: 'PeerAuthentication', metadata, spec, ...(status && { status }) };
}

/** The key of a config map. */
export const keyOf = (name: string, namespace = 'a') => ({ kind: 'configmaps', namespace, name });
/** The key of an object that `policy` made. */
export const policyKey = (name: string) => ({
  kind: 'peerauthentications.security.istio.io',
  namespace: 'a',
  name,
});

/** Collects what a watch says. */
export class Recorder implements StoreObserver {
  readonly events: StoreEvent[] = [];
  readonly errors: unknown[] = [];

  onEvent(event: StoreEvent): void {
    this.events.push(event);
  }

  onError(error: unknown): void {
    this.errors.push(error);
  }

  /** `ADDED x`, in order. */
  get said(): readonly string[] {
    return this.events.map(({ type, object }) => `${type} ${object.metadata.name}`);
  }
}

/** A predicate for `assert.rejects`. */
export const withCode =
  (code: ErrorCode) =>
  (error: unknown): boolean =>
    isBulwarkError(error, code);

/** Lets everything happen that is due now. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
