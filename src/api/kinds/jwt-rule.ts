import { checkDuration } from '#api/duration.ts';
import { invalid, required, violates, warning } from '#api/field-error.ts';
import { readKeySet } from '#api/key-set.ts';
import type { Report } from '#api/kind.ts';
import { choice, flag, list, object, text, type ValueOf } from '#api/schema.ts';

const headerLocation = object(
  'A header that carries the token.',
  {
    name: text('Name of the header.', { minLength: 1 }),
    prefix: text('What stands before the token, such as `Bearer ` with its space.'),
  },
  { required: ['name'] },
);

const jwksUri = text(
  'Where the keys of the issuer are; found by OpenID Connect discovery otherwise.',
  { maxLength: 2048 },
);

const claimToHeader = object(
  'A claim that the application gets as a header.',
  {
    header: text('Name of the header; what a caller sends under it is taken away.', {
      minLength: 1,
      pattern: '^[-_A-Za-z0-9]+$',
    }),
    claim: text('Name of the claim; `.` leads into nested claims.', { minLength: 1 }),
  },
  { required: ['header', 'claim'] },
);

/** Istio's JWTRule: the tokens of one issuer. `presence` and `requireExpiration` are ours. */
export const jwtRule = object('Which tokens of one issuer are taken, and from where.', {
  issuer: text('The `iss` claim that tokens must have.'),
  audiences: list(
    'Accepted `aud` claims; any one is enough. None = every audience.',
    text('An audience.', { minLength: 1 }),
  ),
  jwksUri,
  jwks_uri: { ...jwksUri, description: 'Another spelling of `jwksUri`.' },
  jwks: text('The keys of the issuer themselves, as JSON (RFC 7517).'),
  fromHeaders: list('Headers that the token is taken from.', headerLocation),
  fromParams: list(
    'Query parameters that the token is taken from.',
    text('A query parameter.', { minLength: 1 }),
  ),
  fromCookies: list('Cookies that the token is taken from.', text('A cookie.', { minLength: 1 })),
  outputPayloadToHeader: text('A header in which the application gets the payload, in base64url.'),
  forwardOriginalToken: flag('Whether the application gets the token itself.'),
  outputClaimToHeaders: list('Claims that the application gets as headers.', claimToHeader),
  timeout: text('Time to wait for the keys: 5s when left out, 30s at most.'),
  spaceDelimitedClaims: list(
    'Claims whose text is a list with spaces between, beside `scope` and `permission`.',
    text('A claim.', { minLength: 1 }),
    { maxItems: 64 },
  ),
  presence: choice(
    'REQUIRED: a request without a token of a REQUIRED rule is answered 401. OPTIONAL when left out.',
    ['OPTIONAL', 'REQUIRED'],
  ),
  requireExpiration: flag('Whether a token without `exp` is refused.'),
});

/** The tokens of one issuer. */
export interface JwtRule extends ValueOf<typeof jwtRule> {}

/** Where the keys of the issuer are, in either spelling; '' = nothing is said. */
export function keysPlaceOf({ jwksUri: place, jwks_uri: spelled }: JwtRule): string {
  return place || spelled || '';
}

/** A name that can be a header (RFC 9110), as strictly as Istio takes it. */
const HEADER_NAME = /^[-_A-Za-z0-9]+$/;

/** Reports what the schema of a rule cannot say. */
export function checkJwtRule(rule: JwtRule, field: string, report: Report): void {
  const { issuer, jwks, outputPayloadToHeader } = rule;
  if (!issuer && keysPlaceOf(rule) === '')
    report(required(`${field}.issuer`, 'issuer or jwksUri must be non-empty string'));
  for (const name of ['jwksUri', 'jwks_uri'] as const) {
    const uri = rule[name];
    if (uri) checkJwksUri(uri, `${field}.${name}`, report);
  }
  if (jwks) checkInlineKeys(jwks, `${field}.jwks`, report);
  if ([jwks, rule.jwksUri, rule.jwks_uri].filter(Boolean).length > 1)
    report(violates(field, 'only one of jwks or jwksUri can be set'));
  if (outputPayloadToHeader && !HEADER_NAME.test(outputPayloadToHeader)) {
    const at = `${field}.outputPayloadToHeader`;
    report(invalid(at, outputPayloadToHeader, 'is no name of a header'));
  }
  checkDuration(rule.timeout, `${field}.timeout`, report);
}

/** Reports a place of keys that cannot be one. */
function checkJwksUri(uri: string, field: string, report: Report): void {
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    report(invalid(field, uri, 'url must have scheme http:// or https://'));
  } else if (url.username !== '' || url.password !== '') {
    report(violates(field, 'must not carry a user name or password'));
  }
}

/** Reports keys that no proxy can use, and keys that do not belong there. */
function checkInlineKeys(keys: string, field: string, report: Report): void {
  const read = readKeySet(keys, { sharedSecrets: true });
  // The text may hold a secret: it is not repeated.
  if (!read.ok) report(violates(field, `jwks parse error: ${read.problem}`));
  else for (const message of read.warnings) report(warning(field, message));
}
