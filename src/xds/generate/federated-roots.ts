import { create } from '@bufbuild/protobuf';
import { SecretSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { SPIFFECertValidatorConfigSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.js';
import type { TrustBundles } from '#model/trust-bundles.ts';
import type { ServerNames } from '#policy/tls/server-names.ts';
import type { TrustDomain } from '#spiffe/spiffe-id.ts';
import { IdentityCache } from '#xds/generate/build-cache.ts';
import { pack } from '#xds/generate/proto-values.ts';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

/**
 * By whose roots a client verifies a server: by our own, by those of every trust domain that is
 * known, or by those of these others alone.
 */
export type ServerRoots = 'own' | 'every' | readonly TrustDomain[];

/**
 * The roots for servers of these names. Envoy verifies a certificate by its first name and takes
 * any of them for the server's. So roots of others than the servers' own trust domains are not
 * there, as far as that can be: with ours beside them it is the agent that has both.
 */
export function serverRoots(
  { ids, idPrefixes }: ServerNames,
  federated: readonly TrustDomain[],
): ServerRoots {
  const domains = federated.filter((domain) => ids.some((id) => isOf(id, domain)));
  if (domains.length === 0) return 'own';
  const isOther = (id: string): boolean => !domains.some((domain) => isOf(id, domain));
  return idPrefixes.length > 0 || ids.some(isOther) ? 'every' : domains;
}

function isOf(id: string, trustDomain: TrustDomain): boolean {
  return id.startsWith(`spiffe://${trustDomain}/`);
}

/** The secret of these roots, as the control plane serves it. */
export function federatedRootsName(domains: readonly TrustDomain[]): string {
  return `spiffe-roots://${domains.join(',')}`;
}

/** The secrets that clusters with servers of other trust domains name. */
export class FederatedRoots {
  readonly #known = new IdentityCache<[TrustBundles], Map<string, XdsResource>>(() => new Map());

  /** Those of each of these sets. */
  of(sets: readonly (readonly TrustDomain[])[], bundles: TrustBundles): readonly XdsResource[] {
    const known = this.#known.get(bundles);
    return sets.map((domains) => {
      const name = federatedRootsName(domains);
      const resource = known.get(name) ?? buildSecret(domains, bundles);
      known.set(name, resource);
      return resource;
    });
  }
}

function buildSecret(domains: readonly TrustDomain[], { all }: TrustBundles): XdsResource {
  const name = federatedRootsName(domains);
  const validator = {
    trustDomains: all
      .filter(({ trustDomain }) => domains.includes(trustDomain))
      .map(({ trustDomain, bundle }) => ({
        name: trustDomain,
        trustBundle: inline(bundle.roots.map(pemOf).join('')),
      })),
  };
  const customValidatorConfig = {
    name: 'envoy.tls.cert_validator.spiffe',
    typedConfig: pack(SPIFFECertValidatorConfigSchema, validator),
  };
  const type = { case: 'validationContext', value: { customValidatorConfig } } as const;
  return encodeResource(TYPE_URL.secret, name, SecretSchema, create(SecretSchema, { name, type }));
}

function inline(value: string) {
  return { specifier: { case: 'inlineString' as const, value } };
}

function pemOf(der: Uint8Array): string {
  const lines = Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
