import { BulwarkError } from '#base/errors.ts';
import type { Certificate } from '#pki/certificate.ts';
import { parseSpiffeId, type SpiffeId } from '#spiffe/spiffe-id.ts';

/**
 * The identity that a workload certificate carries: its one URI name (SPIFFE X.509-SVID sections 2
 * and 5.2).
 * @throws BulwarkError PKI_VERIFY_FAILED when it has none or several or is one of an authority,
 *   SPIFFE_INVALID when the name is no workload id
 */
export function identityOfCertificate(certificate: Certificate): SpiffeId {
  const [uri, ...more] = certificate.names.uris;
  if (uri === undefined || more.length > 0) {
    throw new BulwarkError(
      'PKI_VERIFY_FAILED',
      `the certificate has ${certificate.names.uris.length} URI names; an identity is exactly one`,
    );
  }
  if (certificate.isCa)
    throw new BulwarkError('PKI_VERIFY_FAILED', 'the certificate of an authority is no identity');
  return parseSpiffeId(uri);
}
