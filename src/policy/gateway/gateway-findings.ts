import type { Diagnostic } from '#api/diagnostic.ts';
import type { GatewayServer } from '#api/kinds/gateway.ts';
import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { ApiObject } from '#api/object.ts';
import { type Labels, labelsMatch } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { resolveGateway } from '#policy/gateway/gateway-name.ts';
import { gatewayPorts } from '#policy/gateway/gateway-ports.ts';
import { commonHosts, hostOf, hostsForNamespace } from '#policy/gateway/server-hosts.ts';
import { MESH } from '#policy/routing/source-match.ts';
import { isVisible } from '#policy/routing/virtual-services.ts';
import { CredentialReader, cannotRead, readableCredentials } from '#policy/tls/credential.ts';
import {
  credentialResource,
  isOwnCertificate,
  parseCredentialResource,
} from '#policy/tls/credential-name.ts';

/** Remembers Secrets by their identity. */
const reader = new CredentialReader();

/** What of Gateways, and of routes for them, does not count, or lets in more than it seems to. */
export function gatewayFindings(
  mesh: MeshSnapshot,
  report: (object: ApiObject, diagnostic: Diagnostic) => void,
): void {
  const workloadsOf = byText((selector: Labels) => selected(selector, mesh));
  const served = byIdentity((workload: Workload) => servedBy(workload, mesh));
  for (const gateway of mesh.gateways.all()) {
    const workloads = workloadsOf(gateway.spec?.selector ?? {});
    for (const [index, server] of (gateway.spec?.servers ?? []).entries()) {
      const field = `spec.servers[${index}]`;
      const found = [
        ...broadHosts(server, field),
        ...workloads.flatMap((workload) =>
          served(workload).has(server)
            ? withoutSecrets(server, field, workload, mesh)
            : [unserved(field, workload)],
        ),
      ];
      for (const diagnostic of found) report(gateway, diagnostic);
    }
  }
  for (const object of mesh.virtualServices.all()) {
    for (const [index, written] of (object.spec?.gateways ?? []).entries()) {
      const message = problemOfBinding(object, written, mesh, workloadsOf);
      const field = `spec.gateways[${index}]`;
      if (message !== undefined) report(object, { severity: 'error', field, message });
    }
  }
}

/** Many Gateways select the same workloads, and each workload serves many. */
function byText<K, V>(make: (key: K) => V): (key: K) => V {
  const known = new Map<string, V>();
  return (key) => {
    const text = JSON.stringify(key);
    const value = known.get(text) ?? make(key);
    known.set(text, value);
    return value;
  };
}

function byIdentity<K extends object, V>(make: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => {
    const value = known.get(key) ?? make(key);
    known.set(key, value);
    return value;
  };
}

function selected(selector: Labels, { workloads }: MeshSnapshot): readonly Workload[] {
  return workloads
    .namespaces()
    .flatMap((namespace) => workloads.in(namespace))
    .filter(({ labels }) => labelsMatch(selector, labels));
}

function servedBy(workload: Workload, mesh: MeshSnapshot): ReadonlySet<GatewayServer> {
  const servers = gatewayPorts(workload, mesh).flatMap((port) => port.servers);
  return new Set(servers.map(({ server }) => server));
}

/** Hosts that leave it to every namespace which hosts there are. */
function broadHosts({ hosts }: GatewayServer, field: string): readonly Diagnostic[] {
  return hosts.flatMap((written, index): readonly Diagnostic[] => {
    if (hostOf(written) !== '*' || !['*', '*/*'].includes(written)) return [];
    return [
      {
        severity: 'warning',
        field: `${field}.hosts[${index}]`,
        message: 'every namespace may have routes for every host here',
        remedy: 'name the hosts, or the namespaces: `NAMESPACE/*`',
      },
    ];
  });
}

function unserved(field: string, { namespace, name }: Workload): Diagnostic {
  const other = 'an older server has the port for another protocol, or one of the hosts';
  const message = `is not served by ${namespace}/${name}: ${other}`;
  return { severity: 'error', field: `${field}.port`, message };
}

function withoutSecrets(
  server: GatewayServer,
  field: string,
  workload: Workload,
  mesh: MeshSnapshot,
): readonly Diagnostic[] {
  const message = lackingSecrets(server, workload, mesh);
  return message === undefined ? [] : [{ severity: 'error', field: `${field}.tls`, message }];
}

/** What a server lacks that ends TLS at a workload, in words; undefined when nothing does. */
export function lackingSecrets(
  server: GatewayServer,
  workload: Workload,
  mesh: MeshSnapshot,
): string | undefined {
  const { mode, credentialName, credentialNames = [], caCertCredentialName } = server.tls ?? {};
  if (mode !== 'SIMPLE' && mode !== 'MUTUAL' && mode !== 'OPTIONAL_MUTUAL') return undefined;
  const { namespace } = workload;
  const names = (credentialNames.length > 0 ? credentialNames : [credentialName ?? '']).filter(
    (name) => !isOwnCertificate(name),
  );
  const readable = readableCredentials(mesh, workload);
  const find = (secret: string) => reader.credential(readable, namespace, secret);
  const why = (secret: string, lacks: string): string => {
    const place = parseCredentialResource(credentialResource(secret), namespace);
    if (place === undefined) return `nothing is served by the name ${secret}`;
    if (place.namespace !== namespace) return `${secret} is of another namespace`;
    const { keyPair, trust } = reader.credential(mesh, namespace, secret);
    const isThere = lacks === KEY_PAIR ? keyPair : trust;
    if (!isThere) return `namespace ${namespace} has no ${place.kind} ${place.name} with ${lacks}`;
    return cannotRead(workload.serviceAccount, secret);
  };
  const [first = ''] = names;
  const missing = names.find((secret) => secret !== '' && !find(secret).keyPair);
  const closed = 'no connection is taken';
  if (missing !== undefined) return `${why(missing, KEY_PAIR)}; ${closed}`;
  const roots = caCertCredentialName || first;
  if (mode === 'SIMPLE' || roots === '' || find(roots).trust) return undefined;
  return `${why(roots, 'authorities for callers')}; ${closed}`;
}

const KEY_PAIR = 'a certificate and its key';

/** Why the routes of an object do not count at a gateway that it names. */
function problemOfBinding(
  object: VirtualService,
  written: string,
  mesh: MeshSnapshot,
  workloadsOf: (selector: Labels) => readonly Workload[],
): string | undefined {
  const own = object.metadata.namespace ?? '';
  const full = resolveGateway(written, own);
  if (full === MESH) return undefined;
  const [namespace = '', name = ''] = full.split('/');
  const gateway = mesh.gateways.get(namespace, name);
  if (!gateway) return `there is no Gateway ${full}`;
  const workloads = workloadsOf(gateway.spec?.selector ?? {});
  if (workloads.length > 0 && !workloads.some((one) => isVisible(object, one.namespace)))
    return `exportTo does not let the namespace of Gateway ${full}'s workloads see it`;
  const asked = (object.spec?.hosts ?? []).map((host) => host.toLowerCase());
  const agree = (gateway.spec?.servers ?? []).some(
    ({ hosts }) => commonHosts(hostsForNamespace(hosts, own, namespace), asked).length > 0,
  );
  return agree ? undefined : `no server of Gateway ${full} has one of the hosts for this namespace`;
}
