import type { TrustBundle } from '#api/kinds/trust-bundle.ts';
import type { Clock } from '#base/clock.ts';
import type { DialRules } from '#base/fetch/guarded-get.ts';
import { httpsGet } from '#base/fetch/https-get.ts';
import { LIMITS } from '#base/limits.ts';
import { readTrustBundle } from '#model/trust-bundles.ts';
import { parseCertificate } from '#pki/certificate.ts';
import { identityOfCertificate } from '#pki/certificate-identity.ts';
import { encodePem } from '#pki/pem.ts';
import { parseBundle, type SpiffeBundle } from '#spiffe/bundle.ts';

const FETCH_MS_MAX = 10_000;

/** A bundle that was fetched, and the text that it came as. */
export interface FetchedBundle {
  readonly text: string;
  readonly bundle: SpiffeBundle;
}

/**
 * Fetches the bundle of a TrustBundle from its endpoint (SPIFFE Federation section 5). With
 * `https_spiffe` the server must prove to be the identity that the object names, by the bundle that
 * is in use now.
 * @throws BulwarkError NET_FETCH_FAILED, NET_ADDRESS_REFUSED, SPIFFE_BUNDLE_INVALID
 */
export async function fetchBundle(
  object: TrustBundle,
  rules: DialRules,
  deps: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<FetchedBundle> {
  const { url = '', profile, endpointSpiffeId, caCertificates } = object.spec.endpoint ?? {};
  const { signal } = deps;
  const common = { url, rules, signal, sizeMax: LIMITS.bundleBytesMax, withinMs: FETCH_MS_MAX };
  const text =
    profile === 'https_web'
      ? await httpsGet({ ...common, roots: caCertificates }, deps)
      : await httpsGet(
          {
            ...common,
            roots: rootsInUse(object),
            checkServer: ({ raw }) => identityProblem(raw, endpointSpiffeId),
          },
          deps,
        );
  return { text, bundle: parseBundle(text) };
}

function rootsInUse(object: TrustBundle): string {
  const roots = readTrustBundle(object)?.bundle.roots ?? [];
  // With none, nobody could be verified; an empty text would mean the roots of the system.
  if (roots.length === 0) return NO_ROOTS;
  return roots.map((der) => encodePem('CERTIFICATE', der)).join('');
}

const NO_ROOTS = '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n';

function identityProblem(raw: Uint8Array, expected: string | undefined): Error | undefined {
  try {
    const identity = identityOfCertificate(parseCertificate(raw));
    if (identity === expected) return undefined;
    return new Error(`the server is ${identity}, not ${expected}`);
  } catch (error) {
    return error as Error;
  }
}
