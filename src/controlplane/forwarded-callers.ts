import {
  exceptForwarders,
  ForwardedCertificateAttestor,
} from '#ca/attestation/forwarded/forwarded-certificate.ts';
import { Forwarders } from '#ca/attestation/forwarded/forwarders.ts';
import type { Attestor } from '#ca/authenticator.ts';
import {
  type HardeningProfile,
  type MeshSettings,
  meshTrustDomains,
} from '#model/mesh-settings.ts';
import { HARDENING } from '#policy/hardening.ts';
import type { WorkloadIdentity } from '#spiffe/spiffe-id.ts';

/**
 * The proxies that may speak for their callers; undefined = nobody, as when no addresses are named.
 * @param ranges of the setting `trustedGatewayCidrs`
 * @throws BulwarkError SETTINGS_INVALID
 */
export function openForwarders(
  ranges: readonly string[],
  hardening: HardeningProfile,
): Forwarders | undefined {
  if (ranges.length === 0) return undefined;
  return new Forwarders({ ranges, loopback: !HARDENING[hardening].localProxiesMustBeListed });
}

/** What the proof of forwarded certificates is made of. */
export interface ForwardedCallersParts {
  readonly settings: MeshSettings;
  readonly forwarders: Forwarders | undefined;
  readonly accountExists: (workload: WorkloadIdentity) => Promise<boolean>;
}

/**
 * The proofs by certificates: those shown to the authority, and before them those that trusted
 * proxies tell of.
 */
export function certificateProofs(
  shown: Attestor,
  { settings, forwarders, accountExists }: ForwardedCallersParts,
): readonly Attestor[] {
  if (!forwarders) return [shown];
  const { trustDomain } = settings;
  const trustDomains = meshTrustDomains(settings);
  return [
    new ForwardedCertificateAttestor({ trustDomain, trustDomains, forwarders }, { accountExists }),
    exceptForwarders(shown, forwarders),
  ];
}
