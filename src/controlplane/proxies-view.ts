import type { ProxiesView, ProxyTypeView } from '#admin/contract.ts';
import type { ProxyStatus, TypeStatus } from '#xds/serve/proxy-status.ts';

/** The connected proxies as administrators see them, by namespace and name. */
export function proxiesView(statuses: readonly ProxyStatus[]): ProxiesView {
  const proxies = statuses.map((status) => ({
    name: status.workloadName,
    namespace: status.namespace,
    identity: status.identity,
    envoyVersion: status.envoyVersion,
    address: status.address,
    connectedAt: instant(status.connectedAt),
    failure: status.failure,
    types: Object.entries(status.types).map(([type, one]) => typeView(type, one)),
  }));
  const key = (one: { readonly namespace: string; readonly name: string }): string =>
    `${one.namespace}/${one.name}`;
  return { proxies: proxies.sort((a, b) => (key(a) < key(b) ? -1 : 1)) };
}

function typeView(type: string, status: TypeStatus): ProxyTypeView {
  const { sent, acked, nacked, rejected, synced } = status;
  const refused = rejected.length > 0;
  return {
    type,
    state: refused ? 'REJECTED' : synced ? 'SYNCED' : 'STALE',
    sentAt: sent && instant(sent.at),
    ackedAt: acked && instant(acked.at),
    error: refused ? nacked?.message : undefined,
    rejected: rejected.map(({ name }) => name),
  };
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString();
}
