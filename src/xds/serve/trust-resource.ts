import { create } from '@bufbuild/protobuf';
import { SecretSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

/** What every workload of the mesh is to trust. */
export interface TrustContent {
  /** The roots, PEM; the one whose key signs now first. */
  readonly rootsPem: string;
  /** Their revocation lists, PEM; '' for none. */
  readonly crlPem: string;
  /** Whether there are lists for the authorities above leaves only; true when left out. */
  readonly isLeafOnly?: boolean;
}

/** The Secret `ROOTCA`, as Istio names it: the roots and lists that peers are verified against. */
export function trustResource({ rootsPem, crlPem, isLeafOnly = true }: TrustContent): XdsResource {
  const inline = (pem: string) => ({
    specifier: { case: 'inlineBytes' as const, value: Buffer.from(pem) },
  });
  const message = create(SecretSchema, {
    name: 'ROOTCA',
    type: {
      case: 'validationContext',
      value: {
        trustedCa: inline(rootsPem),
        ...(crlPem === '' ? {} : { crl: inline(crlPem), onlyVerifyLeafCertCrl: isLeafOnly }),
      },
    },
  });
  return encodeResource(TYPE_URL.secret, 'ROOTCA', SecretSchema, message);
}

/** The resource of `trustBundlesResource`. */
export const TRUST_BUNDLES_NAME = 'SPIFFE_BUNDLES';

/** What is known of all trust domains; each bundle as SPIFFE writes it. */
export interface TrustBundlesContent {
  /** The trust domain of the mesh, then its aliases. */
  readonly own: readonly string[];
  /** By trust domain, those of the mesh among them. */
  readonly trust_domains: Readonly<Record<string, object>>;
}

/** A Secret with this as JSON, for agents. */
export function trustBundlesResource(content: TrustBundlesContent): XdsResource {
  const value = Buffer.from(JSON.stringify(content));
  const message = create(SecretSchema, {
    name: TRUST_BUNDLES_NAME,
    type: {
      case: 'genericSecret',
      value: { secret: { specifier: { case: 'inlineBytes', value } } },
    },
  });
  return encodeResource(TYPE_URL.secret, TRUST_BUNDLES_NAME, SecretSchema, message);
}
