import type { KindId } from '#api/object.ts';
import { accessOf } from '#apiserver/admission.ts';
import type { Authorizer } from '#apiserver/authorize.ts';
import type { ApiRequest } from '#apiserver/resource-context.ts';
import type { WatchRun } from '#apiserver/watch.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Store, StoreEvent, StoreWatch } from '#store/store.ts';

export interface OpenWatchesDeps {
  readonly store: Store;
  readonly authorizer: Authorizer;
}

const ACCOUNTS = 'serviceaccounts';
/** A change of these can take a right, or the one who had it. */
const KINDS: readonly KindId[] = [
  'roles.rbac.authorization.k8s.io',
  'clusterroles.rbac.authorization.k8s.io',
  'rolebindings.rbac.authorization.k8s.io',
  'clusterrolebindings.rbac.authorization.k8s.io',
  ACCOUNTS,
];

/** A watch that runs, and what ends it. */
interface OpenWatch {
  readonly request: ApiRequest;
  readonly end: AbortController;
}

/**
 * Ends watches whose right has gone while they run: a client that asks again is refused. Kubernetes
 * lets them go on, for as long as the client named.
 */
export class OpenWatches implements Component {
  readonly name = 'open-watches';
  readonly #deps: OpenWatchesDeps;
  readonly #open = new Set<OpenWatch>();
  #watch: StoreWatch | undefined;
  #isDue = false;

  constructor(deps: OpenWatchesDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    this.#watch = this.#deps.store.watch(
      { kinds: KINDS },
      { onEvent: (event) => this.#note(event), onError: () => this.#startAgain() },
    );
  }

  async close(): Promise<void> {
    this.#watch?.close();
  }

  /** The watch of a request, which ends when its caller may not have it any more. */
  guarded(request: ApiRequest, run: WatchRun): WatchRun {
    return async (response, closing) => {
      const open: OpenWatch = { request, end: new AbortController() };
      this.#open.add(open);
      // The right may have gone since it was looked at.
      if (!this.#isAllowed(request)) open.end.abort();
      try {
        await run(response, AbortSignal.any([closing, open.end.signal]));
      } finally {
        this.#open.delete(open);
      }
    };
  }

  #note({ type, kind, object }: StoreEvent): void {
    if (kind !== ACCOUNTS) this.#checkSoon();
    else if (type === 'DELETED') {
      const { uid } = object.metadata;
      this.#endThose(({ caller }) => caller.uid !== undefined && caller.uid === uid);
    }
  }

  /** What was missed may have taken any right. */
  #startAgain(): void {
    this.#endThose(() => true);
    void this.start();
  }

  /** After the authorizer, too, has heard of the change; once for many. */
  #checkSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      // Whether one may still act as another is not known here: asking again finds out.
      this.#endThose((request) => request.caller.actor !== undefined || !this.#isAllowed(request));
    });
  }

  #endThose(isOver: (request: ApiRequest) => boolean): void {
    for (const { request, end } of [...this.#open]) if (isOver(request)) end.abort();
  }

  #isAllowed({ caller, info, query }: ApiRequest): boolean {
    return this.#deps.authorizer.authorize(caller, accessOf(info, query)).allowed;
  }
}
