/** `@request.auth.claims.a.b` or `@request.auth.claims[a][b]`, among headers of a condition. */
const CLAIM = /^@request\.auth\.claims(?:\.([^[\]]+)|((?:\[[^[\]]+\])+))$/;

/**
 * The path of the claim that a name among the headers of a VirtualService's condition stands for;
 * undefined where it stands for none (Istio, "JWT claim based routing").
 */
export function routingClaim(name: string): readonly string[] | undefined {
  const [, dotted, bracketed] = CLAIM.exec(name) ?? [];
  return dotted?.split('.') ?? bracketed?.slice(1, -1).split('][');
}
