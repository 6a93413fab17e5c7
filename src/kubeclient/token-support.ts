import type { KubeClient } from '#kubeclient/kube-client.ts';

/**
 * Whether a platform gives tokens for an audience (third-party tokens): its API server then offers
 * `serviceaccounts/token`, which is how istioctl finds out, too. Where it does not, `jwtPolicy` has
 * to be `first-party-jwt`.
 * @throws BulwarkError CLI_CONNECTION_FAILED, API_UNAUTHORIZED, API_FORBIDDEN
 */
export async function offersThirdPartyTokens(client: KubeClient): Promise<boolean> {
  const answer = await client.expect({ method: 'GET', path: '/api/v1' });
  const { resources } = (answer ?? {}) as { readonly resources?: unknown };
  return (
    Array.isArray(resources) &&
    resources.some((one: { readonly name?: unknown }) => one?.name === 'serviceaccounts/token')
  );
}
