import { warning } from '#api/field-error.ts';
import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { ApiObject } from '#api/object.ts';
import type { Endpoint } from '#model/endpoint.ts';
import { labelsMatch } from '#model/selector.ts';
import type { Service } from '#model/service.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { PeerAuthenticator } from '#policy/authn/inbound-mtls.ts';
import { modeOfPort } from '#policy/authn/mtls-mode.ts';
import type { Report } from '#policy/findings.ts';
import { clientTls } from '#policy/tls/client-tls.ts';
import { type ConnectionTls, connectionTls, type TlsConflict } from '#policy/tls/connection-tls.ts';
import { CredentialReader, cannotRead } from '#policy/tls/credential.ts';
import { credentialResource, parseCredentialResource } from '#policy/tls/credential-name.ts';
import {
  type ClientRule,
  ClientRules,
  credentialsOf,
  type RuleClient,
} from '#policy/tls/destination-rules.ts';
import { hostCovers, resolveHost } from '#policy/tls/host-match.ts';
import { modeSource } from '#policy/tls/mode-source.ts';
import { type UpstreamTls, writtenTls } from '#policy/tls/upstream-tls.ts';

const FIELD = 'spec.trafficPolicy.tls';
/** All endpoints of a service, beside its subsets. */
const WHOLE = { name: '', labels: {} } as const;

/**
 * Tells which DestinationRule objects are for no service, and which make callers connect in a way
 * that servers do not take, with the object on the other side. Callers are those of the rule's own
 * namespace, with the labels that it selects by.
 */
export function destinationRuleFindings(mesh: MeshSnapshot, report: Report): void {
  const judge = new ConnectionJudge(mesh);
  for (const namespace of mesh.destinationRules.namespaces()) {
    for (const rule of mesh.destinationRules.in(namespace)) {
      const client = { namespace, labels: rule.spec.workloadSelector?.matchLabels ?? {} };
      const host = resolveHost(rule.spec.host, namespace, mesh.settings.clusterDomain);
      const covered = mesh.services
        .viewOf(namespace)
        .services.filter((service) => hostCovers(host, service.host));
      if (covered.length === 0) report(rule, warning('spec.host', `there is no service "${host}"`));
      else judge.judge(rule, client, covered, report);
      for (const message of unreadable(rule, mesh)) report(rule, warning(FIELD, message));
    }
  }
}

/** The Secrets that callers are to prove themselves with, and may not read. */
function unreadable(rule: DestinationRule, mesh: MeshSnapshot): readonly string[] {
  const { metadata, spec } = rule;
  const { matchLabels } = spec.workloadSelector ?? {};
  const names = matchLabels === undefined ? [] : credentialsOf(rule);
  if (names.length === 0 || matchLabels === undefined) return [];
  const callers = mesh.workloads
    .in(metadata.namespace ?? '')
    .filter(({ labels }) => labelsMatch(matchLabels, labels));
  const found = callers.flatMap((caller) =>
    names
      .map((name) => parseCredentialResource(credentialResource(name), caller.namespace))
      .flatMap((place) => (place?.kind === 'Secret' ? [place.name] : []))
      .filter((name) => !mesh.secretReaders.mayRead(caller, name))
      .map((name) => cannotRead(caller.serviceAccount, name)),
  );
  return [...new Set(found)];
}

/** What a rule makes of one port of a service. */
interface Decision {
  readonly service: Service;
  readonly port: number;
  /** Those of the subset, if it is about one. */
  readonly endpoints: readonly Endpoint[];
  readonly tls: UpstreamTls;
}

class ConnectionJudge {
  readonly #mesh: MeshSnapshot;
  readonly #authenticator: PeerAuthenticator;
  readonly #credentials = new CredentialReader();
  readonly #rules = new Map<string, ClientRules>();

  constructor(mesh: MeshSnapshot) {
    this.#mesh = mesh;
    this.#authenticator = new PeerAuthenticator(mesh.settings);
  }

  /** Says each thing once for a rule, however many endpoints it is true of. */
  judge(
    rule: DestinationRule,
    client: RuleClient,
    covered: readonly Service[],
    report: Report,
  ): void {
    const rules = this.#rulesOf(client);
    const said = new Set<string>();
    for (const service of covered) {
      const effective = rules.ruleFor(service);
      if (!effective) continue;
      for (const decision of this.#decisions(rule, effective, service, client)) {
        for (const message of this.#problems(rule, decision)) {
          if (said.has(message)) continue;
          said.add(message);
          report(rule, warning(FIELD, message));
        }
      }
    }
  }

  #rulesOf(client: RuleClient): ClientRules {
    const key = JSON.stringify([client.namespace, client.labels]);
    let rules = this.#rules.get(key);
    if (!rules) {
      rules = new ClientRules(this.#mesh.destinationRules, client, this.#mesh.settings);
      this.#rules.set(key, rules);
    }
    return rules;
  }

  /** The ports, and those of subsets, for which this object is the one that decides. */
  *#decisions(
    rule: DestinationRule,
    effective: ClientRule,
    service: Service,
    { namespace }: RuleClient,
  ): Generator<Decision> {
    for (const { port } of service.ports) {
      const behind = this.#mesh.endpoints.of(service).byPort.get(port) ?? [];
      for (const { name: subset, labels } of [WHOLE, ...effective.subsets]) {
        if (writtenTls(effective, port, subset)?.from !== rule) continue;
        const endpoints = behind.filter(({ workload }) => labelsMatch(labels, workload.labels));
        const called = { service, port, subset, rule: effective, clientNamespace: namespace };
        const { tls } = clientTls(called, this.#mesh, this.#credentials);
        yield { service, port, endpoints, tls };
      }
    }
  }

  *#problems(rule: DestinationRule, decision: Decision): Generator<string> {
    const { service, port, endpoints, tls } = decision;
    if (tls.mode === 'refuse') {
      yield `"${service.host}" is not called: ${tls.reason}`;
      return;
    }
    if (service.external) return;
    for (const { workload, workloadPort } of endpoints) {
      const inbound = this.#authenticator.inboundMtls(workload, this.#mesh);
      const mode = modeOfPort(inbound, workloadPort);
      const server = { hasProxy: workload.mtlsCapable, mode, rule: undefined };
      const ends = { client: { tls, rule }, server };
      const { conflict } = connectionTls(ends);
      if (conflict === undefined) continue;
      const source = modeSource(workload, workloadPort, this.#mesh);
      const connection = connectionTls({ ...ends, server: { ...server, rule: source } });
      yield sentence(service, port, connection, conflict);
    }
  }
}

/** What happens, by kind of conflict, and what the server does about it. */
const CONFLICTS: Readonly<Record<TlsConflict, readonly [string, string]>> = {
  'plaintext-to-mutual': ['get plaintext', 'which takes mutual TLS only'],
  'mutual-to-plaintext': ['get mutual TLS', 'which takes plaintext only'],
  'other-tls-to-mutual': [
    'get TLS without the identity of the caller',
    'which takes mutual TLS only',
  ],
  'refused-by-server': ['fail', 'which takes no connection'],
  'refused-by-client': ['are not made', 'for the rule cannot be met'],
};

function sentence(
  service: Service,
  port: number,
  { serverRule }: ConnectionTls,
  conflict: TlsConflict,
): string {
  const [what, why] = CONFLICTS[conflict];
  const calls = `calls of port ${port} of "${service.host}" ${what}`;
  return serverRule
    ? `${calls}, ${why} by ${named(serverRule)}`
    : `${calls}, but it has endpoints without a proxy`;
}

function named({ kind, metadata }: ApiObject): string {
  const place = metadata.namespace ? `${metadata.namespace}/` : '';
  return `${kind} ${place}${metadata.name}`;
}
