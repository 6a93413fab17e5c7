import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { ApiObject } from '#api/object.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { PeerAuthenticator } from '#policy/authn/inbound-mtls.ts';
import { type InboundMode, modeOfPort } from '#policy/authn/mtls-mode.ts';
import type { Caller, Target } from '#policy/decide/call.ts';
import { type Layer, type PolicyObject, shownObject } from '#policy/decide/layer.ts';
import { HARDENING } from '#policy/hardening.ts';
import {
  type ConnectionEnds,
  type ConnectionTls,
  connectionTls,
  type TlsConflict,
} from '#policy/tls/connection-tls.ts';
import { type ClientRule, ClientRules, ruleScope } from '#policy/tls/destination-rules.ts';
import { modeSource } from '#policy/tls/mode-source.ts';
import { type UpstreamTls, upstreamTls, writtenTls } from '#policy/tls/upstream-tls.ts';

/** What comes of the connection of a call. */
export interface ConnectionResult {
  readonly layer: Layer;
  /** Whether the server learns who calls. */
  readonly carriesIdentity: boolean;
  /** Why a caller of the mesh sends no identity, and the object that says so. */
  readonly lostBy: PolicyObject | undefined;
  /** What helps, where the layer does not tell. */
  readonly advice?: string;
}

type ServerEnd = ConnectionEnds['server'];

/** The callers of the mesh have proxies; who is outside of it sends plaintext as it is. */
const PLAINTEXT: UpstreamTls = { mode: 'plain' };

/** Secrets are not looked into: a rule that names one is taken to have it. */
const ANY_CREDENTIAL = {
  keyPair: { certificates: '', privateKey: '' },
  trust: { roots: '', crl: undefined },
} as const;

/** Decides about the connections of one snapshot. It remembers what callers share. */
export class ConnectionDecider {
  readonly #mesh: MeshSnapshot;
  readonly #settings: MeshSettings;
  readonly #peers: PeerAuthenticator;
  readonly #rules = new Map<string, ClientRules>();
  readonly #scopes = new WeakMap<Caller, string>();
  /** By target, then by what callers of a scope and a view have in common. */
  readonly #results = new WeakMap<Target, Map<string, ConnectionResult>>();
  readonly #servers = new WeakMap<Workload, Map<number, ServerEnd>>();

  constructor(mesh: MeshSnapshot) {
    this.#mesh = mesh;
    this.#settings = mesh.settings;
    this.#peers = new PeerAuthenticator(mesh.settings);
  }

  /**
   * How the caller connects to the target, and whether that is taken. Callers that see the same
   * rules and services get the same answer.
   */
  decide(from: Caller, to: Target): ConnectionResult {
    const seen = this.#mesh.services.viewOf(from.namespace).byHost.get(to.service.host);
    const key = `${from.identity !== undefined} ${seen === to.service} ${this.#scopeOf(from)}`;
    const known = this.#results.get(to)?.get(key);
    if (known) return known;
    const decided = this.#decide(from, to);
    const results = this.#results.get(to) ?? new Map<string, ConnectionResult>();
    this.#results.set(to, results.set(key, decided));
    return decided;
  }

  #scopeOf(from: Caller): string {
    let scope = this.#scopes.get(from);
    if (scope === undefined) {
      scope = ruleScope(this.#mesh.destinationRules, from);
      this.#scopes.set(from, scope);
    }
    return scope;
  }

  #decide(from: Caller, to: Target): ConnectionResult {
    const rule = this.#ruleOf(from, to);
    const tls = this.#tlsOf(from, to, rule);
    const written = rule && writtenTls(rule, to.port.port, to.subset ?? '');
    const server = this.#serverOf(to);
    const client = { tls, rule: written?.tls ? written.from : undefined };
    const connection = connectionTls({ client, server });
    const carriesIdentity = from.identity !== undefined && connection.sends === 'mutual';
    const lostBy = carriesIdentity || from.identity === undefined ? undefined : connection;
    return {
      layer: this.#layerOf(from, to, connection, tls),
      carriesIdentity,
      lostBy: objectOf(lostBy?.clientRule ?? lostBy?.serverRule),
    };
  }

  #ruleOf(from: Caller, to: Target): ClientRule | undefined {
    if (from.identity === undefined) return undefined;
    const { destinationRules } = this.#mesh;
    const key = this.#scopeOf(from);
    let rules = this.#rules.get(key);
    if (!rules) {
      rules = new ClientRules(destinationRules, from, this.#settings);
      this.#rules.set(key, rules);
    }
    return rules.ruleFor(to.service);
  }

  #tlsOf(
    from: Caller,
    { service, port, subset = '' }: Target,
    rule: ClientRule | undefined,
  ): UpstreamTls {
    if (from.identity === undefined) return PLAINTEXT;
    const seen = this.#mesh.services.viewOf(from.namespace).byHost.get(service.host);
    if (seen !== service) return { mode: 'refuse', reason: notSeen(service.exportTo) };
    return upstreamTls({
      service,
      port: port.port,
      rule,
      subset,
      autoMtls: this.#settings.autoMtls,
      outsideIsNamed: HARDENING[this.#settings.hardening].outsideServersAreNamed,
      credential: () => ANY_CREDENTIAL,
    });
  }

  #serverOf({ workload, workloadPort }: Target): ServerEnd {
    const ports = this.#servers.get(workload) ?? new Map<number, ServerEnd>();
    this.#servers.set(workload, ports);
    const known = ports.get(workloadPort);
    if (known) return known;
    const mode = modeOfPort(this.#peers.inboundMtls(workload, this.#mesh), workloadPort);
    const rule = modeSource(workload, workloadPort, this.#mesh);
    const server = { hasProxy: workload.mtlsCapable, mode, rule };
    ports.set(workloadPort, server);
    return server;
  }

  #layerOf(from: Caller, to: Target, connection: ConnectionTls, tls: UpstreamTls): Layer {
    const { sends, takes, clientRule, serverRule, conflict } = connection;
    const client = objectOf(clientRule);
    const server = objectOf(serverRule);
    const by = server ? `by ${shownObject(server)}` : 'by default';
    const serverMode = to.workload.mtlsCapable ? `${takes} ${by}` : 'it has no proxy';
    const clientSays = { object: client, field: clientRule && tlsField(clientRule, to) };
    const serverSays = { object: server, field: server && modeField(serverRule, to) };
    const wrongName = serverNameProblem(tls, to);
    if (conflict === 'refused-by-client' || wrongName !== undefined) {
      const why = tls.mode === 'refuse' ? tls.reason : wrongName;
      return { layer: 'connection', outcome: 'deny', reason: `not called: ${why}`, ...clientSays };
    }
    if (conflict !== undefined) {
      const said = from.identity === undefined ? OUTSIDE : client ? saidBy(client) : 'the caller';
      const reason = `${said} ${SENT[sends]}, ${CONFLICTS[conflict]} (${serverMode})`;
      // What a user wrote for callers is against what is so; it is the one to change.
      const deciding = client ? clientSays : serverSays;
      return { layer: 'connection', outcome: 'deny', reason, ...deciding };
    }
    const how =
      sends === 'mutual'
        ? `mutual TLS${client ? `, as ${shownObject(client)} says` : ''}`
        : `${sends === 'plaintext' ? 'plaintext' : 'TLS'}${whyNoIdentity(from, client, server)}`;
    const reason = `${how}; the server takes ${TAKES[takes]} (${serverMode})`;
    const deciding = client ? clientSays : serverSays;
    return { layer: 'connection', outcome: 'pass', reason, ...deciding };
  }
}

const TAKES: Readonly<Record<InboundMode, string>> = {
  DISABLE: 'plaintext only',
  PERMISSIVE: 'mutual TLS and plaintext',
  STRICT: 'mutual TLS only',
  REFUSE: 'no connection',
};

const OUTSIDE = 'a caller outside of the mesh';

/** How it goes on after who connects. */
const SENT: Readonly<Record<ConnectionTls['sends'], string>> = {
  plaintext: 'sends plaintext',
  mutual: 'sends mutual TLS',
  'other-tls': 'sends TLS without an identity of the mesh',
  nothing: 'does not call',
};

const CONFLICTS: Readonly<Record<TlsConflict, string>> = {
  'plaintext-to-mutual': 'but the server takes mutual TLS only',
  'mutual-to-plaintext': 'but the server takes plaintext only',
  'other-tls-to-mutual': 'but the server takes mutual TLS of the mesh only',
  'refused-by-server': 'but the server takes no connection',
  'refused-by-client': 'for its rule cannot be met',
};

function saidBy(object: PolicyObject): string {
  return `the caller, by ${shownObject(object)},`;
}

function whyNoIdentity(
  from: Caller,
  client: PolicyObject | undefined,
  server: PolicyObject | undefined,
): string {
  if (from.identity === undefined) return ', as the caller is outside of the mesh';
  if (client) return `, as ${shownObject(client)} says`;
  return server ? `, as ${shownObject(server)} makes the server take it` : '';
}

function notSeen(exportTo: readonly string[]): string {
  const to = exportTo.join(', ');
  return `the service is not exported to the caller's namespace (exportTo: ${to})`;
}

function serverNameProblem(tls: UpstreamTls, { workload }: Target): string | undefined {
  if (tls.mode !== 'mesh' || tls.subjectAltNames.length === 0) return undefined;
  const { identity } = workload;
  if (identity === undefined || tls.subjectAltNames.includes(identity)) return undefined;
  return `the server is ${identity}, and subjectAltNames of the rule do not have it`;
}

function tlsField({ spec }: DestinationRule, { port }: Target): string {
  const settings = spec.trafficPolicy?.portLevelSettings ?? [];
  const index = settings.findIndex((entry) => entry.port?.number === port.port);
  const place = index < 0 ? '' : `.portLevelSettings[${index}]`;
  return `spec.trafficPolicy${place}.tls.mode`;
}

function modeField(source: ApiObject | undefined, { workloadPort }: Target): string {
  if (source?.kind !== 'PeerAuthentication') return 'spec.peers';
  const ports = (source as { spec?: { portLevelMtls?: object } }).spec?.portLevelMtls ?? {};
  const isOfPort = Object.hasOwn(ports, String(workloadPort));
  return isOfPort ? `spec.portLevelMtls[${workloadPort}].mode` : 'spec.mtls.mode';
}

function objectOf(object: ApiObject | undefined): PolicyObject | undefined {
  if (object === undefined) return undefined;
  const { name, namespace = '' } = object.metadata;
  return { kind: object.kind, namespace, name };
}
