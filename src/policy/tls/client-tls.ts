import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { Service } from '#model/service.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { HARDENING } from '#policy/hardening.ts';
import type { CredentialObjects, CredentialReader } from '#policy/tls/credential.ts';
import type { ClientRule } from '#policy/tls/destination-rules.ts';
import { type UpstreamTls, upstreamTls, writtenTls } from '#policy/tls/upstream-tls.ts';

/** A service port, or a subset of it, as a client of a namespace calls it. */
export interface Called {
  readonly service: Service;
  readonly port: number;
  /** '' = the service as a whole. */
  readonly subset: string;
  /** What the client goes by. */
  readonly rule: ClientRule | undefined;
  readonly clientNamespace: string;
}

/** How a client connects, and the object that says so; undefined = nobody says anything. */
export function clientTls(
  { service, port, subset, rule, clientNamespace }: Called,
  { settings, ...objects }: CredentialObjects & Pick<MeshSnapshot, 'settings'>,
  credentials: CredentialReader,
): { readonly tls: UpstreamTls; readonly from: DestinationRule | undefined } {
  const { autoMtls, hardening } = settings;
  const tls = upstreamTls({
    service,
    port,
    rule,
    subset,
    autoMtls,
    outsideIsNamed: HARDENING[hardening].outsideServersAreNamed,
    credential: (name) => credentials.credential(objects, clientNamespace, name),
  });
  return { tls, from: rule && writtenTls(rule, port, subset)?.from };
}
