import { mediaRanges } from '#apiserver/accept.ts';
import { type Answer, jsonAnswer } from '#apiserver/present.ts';
import type { ApiRequest } from '#apiserver/resource-context.ts';
import type { ServiceAccountTokens } from '#apiserver/service-account-tokens.ts';
import { notAcceptable } from '#apiserver/status.ts';

const CONFIGURATION = '/.well-known/openid-configuration';
const KEYS = '/openid/v1/jwks';
const KEYS_TYPE = 'application/jwk-set+json';
const KEPT = { 'cache-control': 'public, max-age=3600' };

/**
 * The issuer of service account tokens as others verify them (kubernetes.io, "Service account
 * issuer discovery"; OpenID Connect Discovery 1.0).
 * @returns undefined when the path is neither of its documents
 * @throws ApiError 406
 */
export function issuerAnswer(
  { path, headers }: Pick<ApiRequest, 'path' | 'headers'>,
  { tokens, address }: { readonly tokens: ServiceAccountTokens; readonly address: string },
): Answer | undefined {
  const plain = path.replace(/(?<=.)\/$/, '');
  if (plain === CONFIGURATION) {
    const document = {
      issuer: tokens.issuer,
      jwks_uri: `https://${address}${KEYS}`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
    };
    return jsonAnswer(document, { headers: KEPT });
  }
  if (plain !== KEYS) return undefined;
  const accepted = mediaRanges(headers.accept).map(({ type }) => type);
  if (!accepted.some((type) => [KEYS_TYPE, 'application/*', '*/*'].includes(type))) {
    throw notAcceptable(`406: Not Acceptable\n\nAvailable representations: ${KEYS_TYPE}`);
  }
  return { ...jsonAnswer({ keys: [tokens.publicJwk] }, { headers: KEPT }), contentType: KEYS_TYPE };
}
