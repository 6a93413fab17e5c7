import { isIP } from 'node:net';
import { BulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { Node } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';
import type { ExplicitPorts, GatewayPlace, ProxyNode } from '#xds/proxy-node.ts';

/** Who a proxy is by its certificate or token: what the node message must agree with. */
export interface ProxyCaller {
  readonly identity: SpiffeId;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const ADDRESSES_MAX = 16;
const LABELS_MAX = 128;
const LISTENERS_MAX = 1024;
/** Characters of a name, a label or a host. */
const TEXT_LENGTH_MAX = 317;
const ID_LENGTH_MAX = 1024;
/** Names are shown to people, and written in lines. */
const CONTROL = /\p{Cc}/u;

/**
 * The proxy that a node message describes. Of Envoy's bootstrap it takes
 *
 * | field | what |
 * |---|---|
 * | `id` | `sidecar~<ip>~<name>.<namespace>~<namespace>.svc.<domain>`; `router~…`: a gateway |
 * | `metadata.NAME` | the workload's name |
 * | `metadata.NAMESPACE`, `metadata.SERVICE_ACCOUNT` | must be those of the caller's identity |
 * | `metadata.LABELS` | map of the workload's labels; may be absent |
 * | `metadata.INSTANCE_IPS` | IP addresses, separated by commas; that of the id when absent |
 * | `metadata.INTERCEPTION_MODE` | `REDIRECT` (when absent too) or `NONE`: explicit mode |
 * | `metadata.AUTO_REGISTER_GROUP` | the WorkloadGroup to be registered under; may be absent |
 * | `metadata.BULWARK_AGENT_SOCKET` | the unix socket at which the agent is asked; may be absent |
 * | `metadata.BULWARK_HOLD_SOCKET` | the one by which it ends connections; may be absent |
 * | `metadata.BULWARK_EXPLICIT` | the ExplicitPorts object; with `NONE` and only then |
 * | `metadata.BULWARK_BIND_ADDRESS` | where a gateway listens; `0.0.0.0` when absent |
 *
 * Other metadata is left alone.
 * @throws BulwarkError XDS_NODE_INVALID that names the field, or XDS_IDENTITY_MISMATCH when the
 * node
 *   claims a namespace or service account other than the caller's
 */
export function parseProxyNode(node: Node, caller: ProxyCaller): ProxyNode {
  const metadata = node.metadata ?? {};
  const { kind, address, namespace } = parseNodeId(node.id);
  const { identity, serviceAccount } = caller;
  for (const claimed of [namespace, textAt(metadata, 'NAMESPACE')])
    if (claimed !== caller.namespace) throw mismatch('namespace', claimed, caller);
  const claimedAccount = textAt(metadata, 'SERVICE_ACCOUNT');
  if (claimedAccount !== serviceAccount) throw mismatch('service account', claimedAccount, caller);
  const interception = interceptionOf(metadata);
  return {
    nodeId: node.id,
    identity,
    namespace,
    serviceAccount,
    workloadName: textAt(metadata, 'NAME'),
    labels: labelsOf(metadata),
    addresses: addressesOf(metadata, address),
    interception,
    group: 'AUTO_REGISTER_GROUP' in metadata ? textAt(metadata, 'AUTO_REGISTER_GROUP') : undefined,
    explicit: explicitOf(metadata, interception),
    ...(kind === 'router' && { gateway: gatewayOf(metadata, interception) }),
    agentSocket: socketOf(metadata, 'BULWARK_AGENT_SOCKET'),
    holdSocket: socketOf(metadata, 'BULWARK_HOLD_SOCKET'),
    envoyVersion: versionOf(node),
  };
}

/** Part of an object from the network: any JSON. */
type JsonMap = Readonly<Record<string, unknown>>;

const KINDS: readonly string[] = ['sidecar', 'router'];

function parseNodeId(id: string): { kind: string; address: string; namespace: string } {
  const [kind, address = '', host = '', domain = '', ...rest] = id.split('~');
  const namespace = host.slice(host.lastIndexOf('.') + 1);
  const wellFormed =
    KINDS.includes(kind ?? '') &&
    isIP(address) !== 0 &&
    host.lastIndexOf('.') > 0 &&
    namespace !== '';
  const isName = id.length <= ID_LENGTH_MAX && !CONTROL.test(id);
  if (!wellFormed || !isName || rest.length > 0 || !domain.startsWith(`${namespace}.svc.`)) {
    const form = 'sidecar|router~<ip>~<name>.<namespace>~<namespace>.svc.<domain>';
    throw invalid('id', `is not of the form ${form}`);
  }
  return { kind: kind ?? '', address, namespace };
}

function labelsOf(metadata: JsonMap): Readonly<Record<string, string>> {
  const labels = metadata.LABELS ?? {};
  if (!isMap(labels)) throw invalid('metadata.LABELS', 'must be a map of names to text');
  const entries = Object.entries(labels);
  if (entries.length > LABELS_MAX)
    throw invalid('metadata.LABELS', `has more than ${LABELS_MAX} entries`);
  return Object.fromEntries(
    entries.map(([name, value]) => {
      if (typeof value !== 'string' || !isShort(name) || !isShort(value))
        throw invalid('metadata.LABELS', 'must be a map of names to text');
      return [name, value];
    }),
  );
}

function addressesOf(metadata: JsonMap, fallback: string): readonly string[] {
  const text = metadata.INSTANCE_IPS;
  if (text === undefined || text === '') return [fallback];
  const addresses = typeof text === 'string' ? text.split(',', ADDRESSES_MAX + 1) : [];
  const good = addresses.length > 0 && addresses.length <= ADDRESSES_MAX;
  if (!good || addresses.some((address) => isIP(address) === 0)) {
    const what = `must be at most ${ADDRESSES_MAX} IP addresses, separated by commas`;
    throw invalid('metadata.INSTANCE_IPS', what);
  }
  return addresses;
}

function interceptionOf(metadata: JsonMap): ProxyNode['interception'] {
  const mode = metadata.INTERCEPTION_MODE ?? 'REDIRECT';
  if (mode === 'REDIRECT') return 'redirect';
  if (mode === 'NONE') return 'explicit';
  throw invalid('metadata.INTERCEPTION_MODE', 'must be REDIRECT or NONE');
}

function gatewayOf(metadata: JsonMap, interception: ProxyNode['interception']): GatewayPlace {
  if (interception === 'explicit')
    throw invalid('metadata.INTERCEPTION_MODE', 'must not be NONE for a gateway');
  const { BULWARK_BIND_ADDRESS: address = '0.0.0.0' } = metadata;
  if (typeof address === 'string' && isIP(address) !== 0) return { address };
  throw invalid('metadata.BULWARK_BIND_ADDRESS', 'must be an IP address');
}

function socketOf(metadata: JsonMap, field: string): string | undefined {
  if (!(field in metadata)) return undefined;
  const path = textAt(metadata, field);
  const isPath = path.startsWith('/') && !path.includes('\0');
  if (!isPath || Buffer.byteLength(path) > LIMITS.socketPathBytesMax)
    throw invalid(`metadata.${field}`, 'must be the path of a unix socket');
  return path;
}

function explicitOf(
  metadata: JsonMap,
  interception: ProxyNode['interception'],
): ExplicitPorts | undefined {
  const field = 'metadata.BULWARK_EXPLICIT';
  const ports = metadata.BULWARK_EXPLICIT;
  if (interception === 'redirect') {
    if (ports === undefined) return undefined;
    throw invalid(field, 'goes with INTERCEPTION_MODE NONE only');
  }
  if (!isMap(ports)) throw invalid(field, 'must be the map of ports of explicit mode');
  const inboundAddress = ports.inboundAddress;
  if (typeof inboundAddress !== 'string' || isIP(inboundAddress) === 0)
    throw invalid(`${field}.inboundAddress`, 'must be an IP address');
  return {
    inboundAddress,
    inbound: listAt(ports, 'inbound', field).map(({ entry, at }) => ({
      name: textAt(entry, 'name', at),
      port: portAt(entry, 'port', at),
      listen: portAt(entry, 'listen', at),
    })),
    httpProxyPort: portAt(ports, 'httpProxyPort', field),
    upstreams: listAt(ports, 'upstreams', field).map(({ entry, at }) => ({
      host: textAt(entry, 'host', at),
      port: portAt(entry, 'port', at),
      listen: portAt(entry, 'listen', at),
    })),
  };
}

function listAt(map: JsonMap, key: string, path: string): { entry: JsonMap; at: string }[] {
  const list = map[key];
  const at = `${path}.${key}`;
  if (!Array.isArray(list)) throw invalid(at, 'must be a list');
  if (list.length > LISTENERS_MAX) throw invalid(at, `has more than ${LISTENERS_MAX} entries`);
  return list.map((entry: unknown, index) => {
    if (!isMap(entry)) throw invalid(`${at}[${index}]`, 'must be a map');
    return { entry, at: `${at}[${index}]` };
  });
}

function textAt(map: JsonMap, key: string, path = 'metadata'): string {
  const value = map[key];
  if (typeof value !== 'string' || value === '' || !isShort(value))
    throw invalid(
      `${path}.${key}`,
      `must be text of 1 to ${TEXT_LENGTH_MAX} characters, in one line`,
    );
  return value;
}

function isShort(text: string): boolean {
  return text.length <= TEXT_LENGTH_MAX && !CONTROL.test(text);
}

function portAt(map: JsonMap, key: string, path: string): number {
  const value = map[key];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 65_535)
    throw invalid(`${path}.${key}`, 'must be a port number');
  return value;
}

function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function versionOf({ userAgentVersionType: version }: Node): string {
  if (version.case !== 'userAgentBuildVersion' || !version.value.version) return '';
  const { majorNumber, minorNumber, patch } = version.value.version;
  return `${majorNumber}.${minorNumber}.${patch}`;
}

function invalid(field: string, problem: string): BulwarkError {
  return new BulwarkError('XDS_NODE_INVALID', `node.${field} ${problem}`);
}

function mismatch(what: string, claimed: string, caller: ProxyCaller): BulwarkError {
  const message = `the node claims a ${what} that is not that of its certificate`;
  const { identity } = caller;
  return new BulwarkError('XDS_IDENTITY_MISMATCH', message, { data: { claimed, identity } });
}
