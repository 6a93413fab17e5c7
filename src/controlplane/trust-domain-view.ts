import type { MissingTrustView, NamingObjectView, TrustDomainView } from '#admin/contract.ts';
import { KINDS } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import type { UnheardAgent } from '#controlplane/unheard-agents.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import { parseWorkloadId, type SpiffeId } from '#spiffe/spiffe-id.ts';
import type { Store } from '#store/store.ts';
import type { ProxyStatus } from '#xds/serve/proxy-status.ts';
import { type TrustPeer, workloadKey } from '#xds/serve/trust-peers.ts';

/** What there is to judge from. */
export interface DomainEvidence {
  readonly settings: Pick<MeshSettings, 'trustDomain' | 'trustDomainAliases'>;
  readonly peers: readonly TrustPeer[];
  readonly proxies: readonly ProxyStatus[];
  /** Agents that have not come back since the start. */
  readonly unheard: readonly UnheardAgent[];
  /** The version of the roots that all should have. */
  readonly version: string;
}

/** Groups whose objects name identities. */
const NAMING_GROUPS = ['security.istio.io', 'networking.istio.io', 'authentication.istio.io'];
const OBJECTS_MAX = 1000;

/** The names of the trust domain, who does not follow them yet, and what still says another one. */
export async function trustDomainView(
  evidence: DomainEvidence,
  store: Pick<Store, 'list'>,
): Promise<TrustDomainView> {
  const { trustDomain, trustDomainAliases: aliases } = evidence.settings;
  const missing = missingForDomain(evidence);
  const known = new Set([...evidence.peers, ...evidence.proxies].map(workloadKey));
  const objects = aliases.length === 0 ? [] : await namingObjects(aliases, store);
  return { trustDomain, aliases, workloads: known.size, missing, objects };
}

/**
 * Who keeps the next step of a change from being safe: everybody must serve with a certificate of
 * the trust domain, have opened its connections with it, and have taken the roots and the
 * configuration that go with the present names.
 */
function missingForDomain(evidence: DomainEvidence): readonly MissingTrustView[] {
  const proxies = new Map(evidence.proxies.map((proxy) => [workloadKey(proxy), proxy]));
  const peers = new Map(evidence.peers.map((peer) => [workloadKey(peer), peer]));
  const keys = [...new Set([...peers.keys(), ...proxies.keys()])];
  const here = keys.flatMap((key) => {
    const peer = peers.get(key);
    const proxy = proxies.get(key);
    const reason = reasonOf(evidence, peer, proxy);
    const one = peer ?? proxy;
    if (reason === undefined || one === undefined) return [];
    return [{ name: `${one.workloadName}.${one.namespace}`, identity: one.identity, reason }];
  });
  return [
    ...here,
    ...evidence.unheard.map(({ name, identity, reason }) => ({ name, identity, reason })),
  ];
}

function reasonOf(
  { settings, version }: DomainEvidence,
  peer: TrustPeer | undefined,
  proxy: ProxyStatus | undefined,
): string | undefined {
  const { trustDomain } = settings;
  const isOf = (identity: SpiffeId): boolean =>
    parseWorkloadId(identity)?.trustDomain === trustDomain;
  if (!peer) return 'its agent does not say what it trusts and serves with';
  if (!peer.isConnected) return 'it went away without a farewell, and its certificate still holds';
  if (peer.refusal !== undefined) return `it refused the roots: ${peer.refusal}`;
  if (peer.accepted !== version) return 'it has not taken the roots yet';
  if (!isOf(peer.identity)) return `it still serves with a certificate of ${peer.identity}`;
  if (!proxy) return 'its Envoy is not connected';
  if (!isOf(proxy.identity)) return `its connections were opened as ${proxy.identity}`;
  const types = Object.values(proxy.types);
  if (!['cds', 'lds'].every((name) => name in proxy.types))
    return 'its Envoy has not asked for its configuration yet';
  if (types.some(({ rejected }) => rejected.length > 0))
    return 'its Envoy refused its configuration (bulwark proxy-status)';
  return types.every(({ synced }) => synced) ? undefined : 'it has not taken its configuration yet';
}

/** Objects in which an identity of one of the aliases is written. */
async function namingObjects(
  aliases: readonly string[],
  store: Pick<Store, 'list'>,
): Promise<readonly NamingObjectView[]> {
  const found: NamingObjectView[] = [];
  for (const { id, kind } of KINDS.filter(({ group }) => NAMING_GROUPS.includes(group))) {
    const { items } = await store.list(id);
    for (const object of items) {
      const alias = aliases.find((name) => names(object, name));
      const { namespace = '', name } = object.metadata;
      if (alias !== undefined) found.push({ alias, kind, namespace, name });
    }
  }
  return found.slice(0, OBJECTS_MAX);
}

/** Whether a text in the object is an identity of that trust domain, with or without scheme. */
function names({ metadata: _, ...content }: ApiObject, alias: string): boolean {
  const isNamed = (value: unknown): boolean => {
    if (typeof value === 'string')
      return value.startsWith(`${alias}/`) || value.startsWith(`spiffe://${alias}/`);
    return typeof value === 'object' && value !== null && Object.values(value).some(isNamed);
  };
  return isNamed(content);
}
