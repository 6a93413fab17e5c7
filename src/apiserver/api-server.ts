import type { AddressInfo } from 'node:net';
import type { ClusterRole } from '#api/kinds/cluster-role.ts';
import { admitRequest } from '#apiserver/admission.ts';
import type { ObjectCheck } from '#apiserver/admit.ts';
import { ClusterIps } from '#apiserver/cluster-ips.ts';
import { type Actions, type DispatchDeps, dispatch, type Views } from '#apiserver/dispatch.ts';
import { Documents } from '#apiserver/documents.ts';
import type { HealthCheck } from '#apiserver/health.ts';
import { HttpServer, type ServingTls } from '#apiserver/http-server.ts';
import { declareApiMetrics } from '#apiserver/metrics.ts';
import { NamespaceLife } from '#apiserver/namespace-life.ts';
import { OpenWatches } from '#apiserver/open-watches.ts';
import { DEFAULT_BINDINGS, DEFAULT_ROLES } from '#apiserver/rbac/default-roles.ts';
import { Rbac } from '#apiserver/rbac/rbac.ts';
import { type SecretRights, secretRights } from '#apiserver/rbac/secret-rights.ts';
import type { ResourceDeps } from '#apiserver/resource-context.ts';
import type { ServiceAccountTokens } from '#apiserver/service-account-tokens.ts';
import { ApiError } from '#apiserver/status.ts';
import { Turns } from '#apiserver/turns.ts';
import { present } from '#base/assert.ts';
import type { Clock } from '#base/clock.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Store } from '#store/store.ts';

export interface ApiServerOptions {
  /** The IP address to listen on: loopback unless the user wants otherwise. */
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly tls: ServingTls;
  /** Namespaces that are there from the first start, beside `default` and `kube-system`. */
  readonly initialNamespaces?: readonly string[];
  /** Roles that are there from the first start, beside those of Kubernetes. */
  readonly roles?: readonly ClusterRole[];
}

export interface ApiServerDeps {
  readonly store: Store;
  readonly tokens: ServiceAccountTokens;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** What is minded of objects beyond the rules of their kinds. */
  readonly check?: ObjectCheck;
  /** Told of each change that a client makes of more than the status of an object. */
  readonly onChange?: ResourceDeps['onChange'];
  /** Further documents, for who may do everything. */
  readonly views?: Views;
  /** Further commands, for the same. */
  readonly actions?: Actions;
}

/**
 * A Kubernetes API over a store: what kubectl and client libraries need for the kinds of the kind
 * table. Also looks after namespaces (each gets its `default` service account; a deleted one goes
 * with all that is in it) and gives services their addresses.
 */
export class ApiServer implements Component {
  readonly name = 'apiserver';
  readonly #clusterIps: ClusterIps;
  readonly #namespaces: NamespaceLife;
  readonly #rbac: Rbac;
  readonly #watches: OpenWatches;
  readonly #http: HttpServer;
  #address: AddressInfo | undefined;

  constructor(options: ApiServerOptions, deps: ApiServerDeps) {
    const { store, tokens, clock, random } = deps;
    const log = deps.log.child({ component: this.name });
    const initialNamespaces = ['default', 'kube-system', ...(options.initialNamespaces ?? [])];
    this.#clusterIps = new ClusterIps({ store, random });
    this.#namespaces = new NamespaceLife({ initialNamespaces }, { store, clock, random, log });
    const roles = [...DEFAULT_ROLES, ...(options.roles ?? [])];
    const defaults = { roles, bindings: DEFAULT_BINDINGS };
    this.#rbac = new Rbac(defaults, { store, clock, random, log });
    const { authorizer, guard } = this.#rbac;
    this.#watches = new OpenWatches({ store, authorizer });
    const { refused } = declareApiMetrics(deps.metrics);
    const countRefusal = (error: unknown): never => {
      if (error instanceof ApiError) refused.inc({ reason: error.body.reason ?? '' });
      throw error;
    };
    const address = (): string => `${this.address.address}:${this.address.port}`;
    const dispatchDeps: DispatchDeps = {
      store,
      tokens,
      clock,
      random,
      log,
      clusterIps: this.#clusterIps,
      namespaces: this.#namespaces,
      turns: new Turns(),
      check: deps.check,
      onChange: deps.onChange,
      guard,
      authorizer,
      views: deps.views ?? {},
      actions: deps.actions ?? {},
      documents: new Documents(address),
      address,
      healthChecks: healthChecks(store),
    };
    this.#http = new HttpServer(options, {
      log,
      admit: (head, raw) =>
        admitRequest(head, raw, { tokens, authorizer, clock }).catch(countRefusal),
      dispatch: async (request) => {
        const outcome = await dispatch(request, dispatchDeps);
        return typeof outcome === 'function' ? this.#watches.guarded(request, outcome) : outcome;
      },
    });
  }

  /** Where it listens; only once it is started. */
  get address(): AddressInfo {
    return present(this.#address, 'the address of a started server');
  }

  /** Which Secrets service accounts may read. */
  get secretRights(): SecretRights {
    return secretRights(this.#rbac.authorizer, (listener) => this.#rbac.onChange(listener));
  }

  /** @throws BulwarkError NET_PORT_TAKEN, NET_LISTEN_FAILED, or what the store throws */
  async start(): Promise<void> {
    await this.#clusterIps.start();
    await this.#namespaces.start();
    await this.#rbac.start();
    await this.#watches.start();
    this.#address = await this.#http.start();
  }

  /** A new certificate for connections from now on. */
  updateTls(tls: ServingTls): void {
    this.#http.updateTls(tls);
  }

  async close(): Promise<void> {
    await this.#http.close();
    await this.#watches.close();
    await this.#rbac.close();
    await this.#namespaces.close();
    this.#clusterIps.close();
  }
}

function healthChecks(store: Store): readonly HealthCheck[] {
  const readStore = async (): Promise<void> => {
    await store.currentVersion();
  };
  return [
    { name: 'ping', readinessOnly: false, check: async () => {} },
    { name: 'store', readinessOnly: true, check: readStore },
  ];
}
