interface Claims {
  readonly exp?: unknown;
  readonly aud?: unknown;
  readonly sub?: unknown;
}

/** What a token should say. */
export interface ExpectedClaims {
  /** Left out when any is good. */
  readonly audience?: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Now, wall-clock milliseconds. */
  readonly at: number;
}

/**
 * Why an authority may have refused a token, as far as its own claims tell; undefined when they
 * look right. For messages only: nothing here is verified.
 */
export function explainRefusedToken(token: string, expected: ExpectedClaims): string | undefined {
  const claims = claimsOf(token);
  if (!claims) return 'it is no JSON Web Token';
  const { exp, aud, sub } = claims;
  if (typeof exp === 'number' && exp * 1000 <= expected.at)
    return `it expired ${Math.round(expected.at / 1000 - exp)} s ago by the clock of this machine`;
  const audiences = Array.isArray(aud) ? aud : [aud];
  if (expected.audience !== undefined && !audiences.includes(expected.audience))
    return `its audience is ${shown(audiences)}, not ${expected.audience}`;
  const account = `system:serviceaccount:${expected.namespace}:${expected.serviceAccount}`;
  if (sub !== account) return `it is for ${shown([sub])}, not ${account}`;
  return undefined;
}

function claimsOf(token: string): Claims | undefined {
  try {
    const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
    const claims: unknown = JSON.parse(payload);
    return typeof claims === 'object' && claims !== null ? claims : undefined;
  } catch {
    return undefined; // the caller says so
  }
}

function shown(values: readonly unknown[]): string {
  return values.map((value) => String(value).slice(0, 100)).join(', ') || 'missing';
}
