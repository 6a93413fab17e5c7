import { type Namespace, namespace as namespaceKind } from '#api/kinds/namespace.ts';
import { type Secret as SecretObject, secret as secretKind } from '#api/kinds/secret.ts';
import { type ServiceAccount, serviceAccount } from '#api/kinds/service-account.ts';
import type { Clock } from '#base/clock.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Issuer } from '#ca/issuer.ts';
import {
  type AccountSecretContent,
  accountOfSecret,
  accountSecretName,
  buildAccountSecret,
  type ExpectedSecret,
  examineAccountSecret,
  KEY_AND_CERT,
  type RewriteReason,
  type SecretFinding,
  secretIsOurs,
} from '#controllers/account-secret.ts';
import { type NamespaceSelection, namespaceIsManaged } from '#controllers/managed-namespace.ts';
import { declareSecretMetrics, type SecretMetrics } from '#controllers/metrics.ts';
import { type ObjectEvent, ObjectWatch } from '#controllers/object-watch.ts';
import { WorkQueue } from '#controllers/work-queue.ts';
import { generateKeyPair, type KeyPair, privateKeyToPem } from '#pki/keys.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { type SpiffeId, type TrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';
import type { Store } from '#store/store.ts';

export interface ServiceAccountSecretsOptions extends NamespaceSelection {
  readonly trustDomain: TrustDomain;
}

export interface ServiceAccountSecretsDeps {
  readonly store: Store;
  readonly issuer: Pick<Issuer, 'issueForWorkload'>;
  /** PEM: what everybody in the mesh verifies against, now. */
  readonly trustBundle: () => string;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Certificates made at the same time, and the pauses for an account after a failure. */
const CONCURRENCY = 8;
const RETRY = { delayMsMin: 500, delayMsMax: 5 * 60_000 };
/** Timers do not see that the wall clock was set: look at a Secret again after this time. */
const LOOK_MS_MAX = 3_600_000;

/** Where an account, and its Secret, is. */
interface Place {
  readonly namespace: string;
  /** '' = every account of the namespace. */
  readonly account: string;
}

/**
 * Keeps a key and a certificate for each service account in a Secret `istio.<account>`, as Citadel
 * did, for processes that have no agent (CA-1, CA-2): made with the account, renewed at half of its
 * life, written anew when the roots change or when somebody damaged it, deleted with the account.
 */
export class ServiceAccountSecrets implements Component {
  readonly name = 'service-account-secrets';
  readonly #options: ServiceAccountSecretsOptions;
  readonly #deps: ServiceAccountSecretsDeps;
  readonly #metrics: SecretMetrics;
  readonly #queue: WorkQueue;
  readonly #watch: ObjectWatch;
  /** Accounts whose Secret was deleted by somebody, until it is there again. */
  readonly #lost = new Set<string>();
  /** When the certificate of each account expires, wall-clock milliseconds. */
  readonly #expiries = new Map<string, number>();

  constructor(options: ServiceAccountSecretsOptions, deps: ServiceAccountSecretsDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#metrics = declareSecretMetrics(deps.metrics, () => this.#earliestExpiry());
    this.#queue = new WorkQueue(
      {
        concurrency: CONCURRENCY,
        backoff: RETRY,
        work: (key) => this.#reconcile(placeOf(key)),
        onFailure: (key, error) => {
          this.#metrics.failures.add();
          const { namespace, account } = placeOf(key);
          const fields = { namespace, serviceAccount: account, error };
          deps.log.error('the Secret of a service account is not as it should be', fields);
        },
      },
      deps,
    );
    const kinds = [namespaceKind.id, serviceAccount.id, secretKind.id];
    this.#watch = new ObjectWatch({ kinds, onEvent: (event) => this.#note(event) }, deps);
  }

  async start(): Promise<void> {
    await this.#watch.start();
  }

  async close(): Promise<void> {
    await this.#watch.close();
    await this.#queue.close();
  }

  /** To be called when the roots of the mesh changed. */
  async bundleChanged(): Promise<void> {
    const { items } = await this.#deps.store.list(serviceAccount.id);
    for (const { metadata } of items) this.#add(metadata.namespace ?? '', metadata.name);
  }

  /** Only names what is to be looked at: what holds is decided from the store, not from events. */
  #note({ type, kind, object }: ObjectEvent): void {
    const { name, namespace = '' } = object.metadata;
    switch (kind) {
      case serviceAccount.id:
        this.#add(namespace, name);
        return;
      case namespaceKind.id:
        // Its labels may have changed; accounts of new ones come by themselves.
        if (type === 'MODIFIED') this.#add(name, '');
        return;
      case secretKind.id: {
        const account = accountOfSecret(object as SecretObject);
        if (account === undefined) return;
        if (type === 'DELETED') this.#lost.add(keyOf({ namespace, account }));
        this.#add(namespace, account);
      }
    }
  }

  #add(namespace: string, account: string): void {
    this.#queue.add(keyOf({ namespace, account }));
  }

  async #reconcile(place: Place): Promise<void> {
    const { store, log } = this.#deps;
    const { namespace, account: name } = place;
    if (name === '') return this.#reconcileNamespace(namespace);
    const secretName = accountSecretName(name);
    if (secretName === undefined) {
      log.warn('a service account gets no Secret: its name is too long', { ...place });
      return;
    }
    const key = { kind: secretKind.id, namespace, name: secretName };
    const account = await store.get({ kind: serviceAccount.id, namespace, name });
    const secret = (await store.get(key)) as SecretObject | undefined;
    if (account?.metadata.deletionTimestamp !== undefined || !(await this.#isManaged(namespace)))
      return this.#remove(place, secret, account !== undefined);
    if (!account) return this.#remove(place, secret, false);
    if (secret && secret.type !== KEY_AND_CERT) {
      const fields = { ...place, secret: secretName, type: secret.type };
      log.warn('a service account gets no Secret: another object has its name', fields);
      return;
    }
    await this.#keep(place, account as ServiceAccount, secret);
  }

  async #reconcileNamespace(namespace: string): Promise<void> {
    const { items } = await this.#deps.store.list(serviceAccount.id, { namespace });
    for (const { metadata } of items) this.#add(namespace, metadata.name);
  }

  async #isManaged(name: string): Promise<boolean> {
    const key = { kind: namespaceKind.id, namespace: '', name };
    const namespace = (await this.#deps.store.get(key)) as Namespace | undefined;
    return namespace !== undefined && namespaceIsManaged(namespace, this.#options);
  }

  async #keep(
    place: Place,
    account: ServiceAccount,
    secret: SecretObject | undefined,
  ): Promise<void> {
    const { trustDomain } = this.#options;
    const { namespace, account: serviceAccount } = place;
    const identity = workloadSpiffeId({ trustDomain, namespace, serviceAccount });
    const finding = examineAccountSecret(secret, this.#expected(account, identity));
    if (finding.rewrite === undefined) return this.#lookAgain(place, finding);
    const made = buildAccountSecret(account, await this.#issue(identity));
    // What Envoy or a peer would refuse must not reach a Secret, nor be written again and again.
    const check = examineAccountSecret(made, this.#expected(account, identity));
    if (check.rewrite !== undefined) {
      const message = `the new certificate of ${identity} cannot be used: ${check.rewrite}`;
      throw new BulwarkError('CA_SIGN_FAILED', message);
    }
    await this.#write(made, secret);
    this.#count(keyOf(place), finding.rewrite);
    const fields = { identity, secret: made.metadata.name, reason: finding.rewrite };
    this.#deps.log.info('the Secret of a service account was written', fields);
    this.#lookAgain(place, check);
  }

  #expected(account: ServiceAccount, identity: SpiffeId): ExpectedSecret {
    const { trustBundle, clock } = this.#deps;
    return { account, identity, rootsPem: trustBundle(), at: clock.now() };
  }

  async #issue(identity: SpiffeId): Promise<AccountSecretContent> {
    const { issuer, trustBundle } = this.#deps;
    const { privateKey, publicKey } = this.#generateKeys();
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    try {
      // 0 = the default lifetime.
      const request = { identity, publicKey: parsePublicKey(spki), ttlMs: 0 };
      const { chain } = await issuer.issueForWorkload(request);
      return {
        privateKeyPem: privateKeyToPem(privateKey),
        chainPem: chain.slice(0, -1).join(''),
        rootsPem: trustBundle(),
      };
    } catch (error) {
      this.#metrics.signErrors.add();
      throw error;
    }
  }

  #generateKeys(): KeyPair {
    try {
      return generateKeyPair();
    } catch (error) {
      this.#metrics.csrErrors.add();
      throw error;
    }
  }

  async #write(made: SecretObject, present: SecretObject | undefined): Promise<void> {
    const { store } = this.#deps;
    const { namespace = '', name } = made.metadata;
    // An immutable object can only be replaced.
    if (present?.immutable) await store.delete({ kind: secretKind.id, namespace, name });
    if (present && !present.immutable) {
      const { resourceVersion = '' } = present.metadata;
      await store.update({ ...made, metadata: { ...made.metadata, resourceVersion } });
    } else {
      const within = { kind: namespaceKind.id, namespace: '', name: namespace };
      await store.create(made, { within });
    }
  }

  #count(key: string, reason: RewriteReason): void {
    this.#metrics.writes.add(reason);
    const wasLost = this.#lost.delete(key);
    if (reason !== 'Missing') return;
    if (wasLost) this.#metrics.secretDeleted.add();
    else this.#metrics.created.add();
  }

  #lookAgain(place: Place, finding: SecretFinding & { readonly rewrite: undefined }): void {
    const key = keyOf(place);
    this.#expiries.set(key, finding.notAfterAt);
    const leftMs = finding.renewAt - this.#deps.clock.now();
    this.#queue.addAfter(key, Math.min(leftMs, LOOK_MS_MAX));
  }

  /** Deletes what we made; the Secrets of another authority are left to it. */
  async #remove(
    place: Place,
    secret: SecretObject | undefined,
    hasAccount: boolean,
  ): Promise<void> {
    const { store, log } = this.#deps;
    this.#expiries.delete(keyOf(place));
    this.#lost.delete(keyOf(place));
    if (!secret || !secretIsOurs(secret)) return;
    const { namespace = '', name, resourceVersion = '' } = secret.metadata;
    try {
      await store.delete({ kind: secretKind.id, namespace, name }, { resourceVersion });
    } catch (error) {
      if (isBulwarkError(error, 'API_NOT_FOUND')) return;
      throw error;
    }
    if (!hasAccount) this.#metrics.accountDeleted.add();
    const reason = hasAccount ? 'its namespace is not managed' : 'its account is gone';
    log.info('the Secret of a service account was deleted', { ...place, secret: name, reason });
  }

  #earliestExpiry(): number | undefined {
    let earliest: number | undefined;
    for (const expiry of this.#expiries.values())
      if (earliest === undefined || expiry < earliest) earliest = expiry;
    return earliest;
  }
}

function keyOf({ namespace, account }: Place): string {
  return `${namespace}/${account}`;
}

function placeOf(key: string): Place {
  const [namespace = '', account = ''] = key.split('/');
  return { namespace, account };
}
