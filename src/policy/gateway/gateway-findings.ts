import type { Diagnostic } from '#api/diagnostic.ts';
import type { Gateway, GatewayServer } from '#api/kinds/gateway.ts';
import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { ApiObject } from '#api/object.ts';
import { labelsMatch } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { resolveGateway } from '#policy/gateway/gateway-name.ts';
import { gatewayPorts } from '#policy/gateway/gateway-ports.ts';
import { commonHosts, hostOf, hostsForNamespace } from '#policy/gateway/server-hosts.ts';
import { MESH } from '#policy/routing/source-match.ts';
import { isVisible } from '#policy/routing/virtual-services.ts';
import { CredentialReader } from '#policy/tls/credential.ts';

/** Remembers Secrets by their identity. */
const reader = new CredentialReader();

/** What of Gateways, and of routes for them, does not count, or lets in more than it seems to. */
export function gatewayFindings(
  mesh: MeshSnapshot,
  report: (object: ApiObject, diagnostic: Diagnostic) => void,
): void {
  for (const gateway of mesh.gateways.all()) {
    const workloads = selected(gateway, mesh);
    for (const [index, server] of (gateway.spec?.servers ?? []).entries()) {
      const field = `spec.servers[${index}]`;
      const found = [
        ...broadHosts(server, field),
        ...workloads.flatMap((workload) => unserved(gateway, server, field, workload, mesh)),
      ];
      for (const diagnostic of found) report(gateway, diagnostic);
    }
  }
  for (const object of mesh.virtualServices.all()) {
    for (const [index, written] of (object.spec?.gateways ?? []).entries()) {
      const message = problemOfBinding(object, written, mesh);
      const field = `spec.gateways[${index}]`;
      if (message !== undefined) report(object, { severity: 'error', field, message });
    }
  }
}

function selected({ spec }: Gateway, { workloads }: MeshSnapshot): readonly Workload[] {
  return workloads
    .namespaces()
    .flatMap((namespace) => workloads.in(namespace))
    .filter(({ labels }) => labelsMatch(spec?.selector ?? {}, labels));
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

/** Why a workload does not serve a server. */
function unserved(
  { metadata }: Gateway,
  server: GatewayServer,
  field: string,
  workload: Workload,
  mesh: MeshSnapshot,
): readonly Diagnostic[] {
  const error = (at: string, message: string): readonly Diagnostic[] => [
    { severity: 'error', field: `${field}.${at}`, message },
  ];
  const name = `${metadata.namespace ?? ''}/${metadata.name}`;
  const served = gatewayPorts(workload, mesh).flatMap(({ servers }) => servers);
  if (!served.some((one) => one.gateway === name && one.server === server)) {
    const other = 'an older server has the port for another protocol, or one of the hosts';
    return error('port', `is not served by ${workload.namespace}/${workload.name}: ${other}`);
  }
  const { mode, credentialName, credentialNames = [], caCertCredentialName } = server.tls ?? {};
  if (mode !== 'SIMPLE' && mode !== 'MUTUAL' && mode !== 'OPTIONAL_MUTUAL') return [];
  const { namespace } = workload;
  const names = credentialNames.length > 0 ? credentialNames : [credentialName ?? ''];
  const find = (secret: string) => reader.credential(mesh.secrets, namespace, secret);
  const [first = ''] = names;
  const missing = names.find((secret) => secret !== '' && !find(secret).keyPair);
  const closed = 'no connection is taken';
  if (missing !== undefined) {
    const what = `namespace ${namespace} has no Secret ${missing} with a certificate and its key`;
    return error('tls', `${what}: ${closed}`);
  }
  const roots = caCertCredentialName || first;
  if (mode === 'SIMPLE' || roots === '' || find(roots).trust) return [];
  const what = `namespace ${namespace} has no Secret ${roots} with authorities for callers`;
  return error('tls', `${what}: ${closed}`);
}

/** Why the routes of an object do not count at a gateway that it names. */
function problemOfBinding(
  object: VirtualService,
  written: string,
  mesh: MeshSnapshot,
): string | undefined {
  const own = object.metadata.namespace ?? '';
  const full = resolveGateway(written, own);
  if (full === MESH) return undefined;
  const [namespace = '', name = ''] = full.split('/');
  const gateway = mesh.gateways.get(namespace, name);
  if (!gateway) return `there is no Gateway ${full}`;
  const workloads = selected(gateway, mesh);
  if (workloads.length > 0 && !workloads.some((one) => isVisible(object, one.namespace)))
    return `exportTo does not let the namespace of Gateway ${full}'s workloads see it`;
  const asked = (object.spec?.hosts ?? []).map((host) => host.toLowerCase());
  const agree = (gateway.spec?.servers ?? []).some(
    ({ hosts }) => commonHosts(hostsForNamespace(hosts, own, namespace), asked).length > 0,
  );
  return agree ? undefined : `no server of Gateway ${full} has one of the hosts for this namespace`;
}
