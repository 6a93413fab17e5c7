import { isIP } from 'node:net';
import { jsonDifference } from './json-difference.ts';

/**
 * Where two TLS contexts first differ in what they mean; where we write the same in another way is
 * left out.
 */
export function tlsDifference(expected: unknown, actual: unknown): string | undefined {
  return jsonDifference(plain(expected), plain(actual));
}

/** Names of places where the two differ by decision, and how they are made the same. */
function plain(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => plain(item));
  if (typeof value !== 'object' || value === null) {
    // We speak the delta protocol to the agent; it is the same content.
    return key === 'apiType' ? 'GRPC' : value;
  }
  const node = value as Readonly<Record<string, unknown>>;
  const isMesh = JSON.stringify(node.tlsCertificateSdsSecretConfigs ?? '').includes('"default"');
  const entries = Object.entries(node).flatMap(([name, part]): [string, unknown][] => {
    // The filter that tells protocols by ALPN is Istio's own: stock Envoy says them in its ALPN.
    if (name === 'alpnProtocols' && isMesh && node.tlsParams !== undefined) return [];
    // Between proxies we name the cipher suites; they are Envoy's own list for Istio's clients.
    if (name === 'cipherSuites') return [];
    if (name === 'requireClientCertificate' && part === false) return [];
    if (name !== 'matchSubjectAltNames') return [[name, plain(part, name)]];
    return [['matchTypedSubjectAltNames', (part as unknown[]).map(typedName)]];
  });
  return Object.fromEntries(entries);
}

/** The older field matches a name of whatever kind; the kind is told by its looks. */
function typedName(matcher: unknown): unknown {
  const { exact, prefix } = matcher as { readonly exact?: string; readonly prefix?: string };
  const name = exact ?? prefix ?? '';
  const sanType = name.includes('://') ? 'URI' : isIP(name) === 0 ? 'DNS' : 'IP_ADDRESS';
  return { sanType, matcher };
}
