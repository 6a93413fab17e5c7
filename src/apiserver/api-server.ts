import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ObjectCheck } from '#apiserver/admit.ts';
import { authenticate } from '#apiserver/authenticate.ts';
import { type Authorizer, DefaultAuthorizer, refusal } from '#apiserver/authorize.ts';
import { ClusterIps } from '#apiserver/cluster-ips.ts';
import { type Actions, type DispatchDeps, dispatch, type Views } from '#apiserver/dispatch.ts';
import { Documents } from '#apiserver/documents.ts';
import type { HealthCheck } from '#apiserver/health.ts';
import { HttpServer, type RequestHead, type ServingTls } from '#apiserver/http-server.ts';
import { NamespaceLife } from '#apiserver/namespace-life.ts';
import { isTrue } from '#apiserver/query.ts';
import { parseRequest } from '#apiserver/request-info.ts';
import type { Admission } from '#apiserver/resource-context.ts';
import type { ServiceAccountTokens } from '#apiserver/service-account-tokens.ts';
import { Turns } from '#apiserver/turns.ts';
import { present } from '#base/assert.ts';
import type { Clock } from '#base/clock.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
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
}

export interface ApiServerDeps {
  readonly store: Store;
  readonly tokens: ServiceAccountTokens;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  /** What is minded of objects beyond the rules of their kinds. */
  readonly check?: ObjectCheck;
  /** The built-in rules when left out. */
  readonly authorizer?: Authorizer;
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
  readonly #http: HttpServer;
  #address: AddressInfo | undefined;

  constructor(options: ApiServerOptions, deps: ApiServerDeps) {
    const { store, tokens, clock, random } = deps;
    const log = deps.log.child({ component: this.name });
    const authorizer = deps.authorizer ?? new DefaultAuthorizer();
    const initialNamespaces = ['default', 'kube-system', ...(options.initialNamespaces ?? [])];
    this.#clusterIps = new ClusterIps({ store, random });
    this.#namespaces = new NamespaceLife({ initialNamespaces }, { store, clock, random, log });
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
      views: deps.views ?? {},
      actions: deps.actions ?? {},
      documents: new Documents(() => `${this.address.address}:${this.address.port}`),
      healthChecks: healthChecks(store),
    };
    this.#http = new HttpServer(options, {
      log,
      admit: (head, raw) => admitRequest(head, raw, { tokens, authorizer }),
      dispatch: (request) => dispatch(request, dispatchDeps),
    });
  }

  /** Where it listens; only once it is started. */
  get address(): AddressInfo {
    return present(this.#address, 'the address of a started server');
  }

  /** @throws BulwarkError NET_PORT_TAKEN, NET_LISTEN_FAILED, or what the store throws */
  async start(): Promise<void> {
    await this.#clusterIps.start();
    await this.#namespaces.start();
    this.#address = await this.#http.start();
  }

  /** A new certificate for connections from now on. */
  updateTls(tls: ServingTls): void {
    this.#http.updateTls(tls);
  }

  async close(): Promise<void> {
    await this.#http.close();
    await this.#namespaces.close();
    this.#clusterIps.close();
  }
}

/** Who asks for what, if they may. @throws ApiError 401 or 403 */
async function admitRequest(
  { method, path, query }: RequestHead,
  raw: IncomingMessage,
  deps: { readonly tokens: ServiceAccountTokens; readonly authorizer: Authorizer },
): Promise<Admission> {
  const caller = await authenticate(raw, deps.tokens);
  const info = parseRequest(method, path, isTrue(query, 'watch'));
  const decision = await deps.authorizer.authorize(caller, info);
  if (!decision.allowed) throw refusal(caller, info, decision);
  return { caller, info };
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
