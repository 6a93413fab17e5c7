import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import type { GrpcService } from '#base/grpc/grpc.ts';
import type { Logger } from '#base/log.ts';
import type { Metrics } from '#base/metrics.ts';
import type { RandomSource } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';
import type { Authenticator } from '#ca/authenticator.ts';
import { IssuanceRate } from '#ca/issuance-rate.ts';
import { JwtKeys } from '#ca/jwt/jwt-keys.ts';
import { jwtSvidService } from '#ca/jwt/jwt-svid-service.ts';
import { declareJwtMetrics } from '#ca/jwt/metrics.ts';
import type { RevocationCheck } from '#controlplane/revocation.ts';

export interface JwtSvidsDeps {
  readonly keys: JwtKeys;
  readonly authenticator: Authenticator;
  readonly revocation: RevocationCheck;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
  readonly metrics: Metrics;
}

const TOKEN_MS_MAX = 3_600_000;

/** The keys that sign tokens, in the folder of the authority. */
export function openJwtKeys(
  directory: string,
  deps: { readonly clock: Clock; readonly log: Logger },
): JwtKeys {
  return new JwtKeys({ path: join(directory, 'jwt-keys.json'), tokenMsMax: TOKEN_MS_MAX }, deps);
}

/**
 * The service that gives tokens to workloads.
 * @throws BulwarkError SETTINGS_INVALID when the issuer is no https URL
 */
export function openJwtSvids(settings: Settings, deps: JwtSvidsDeps): GrpcService {
  const { revocation, clock } = deps;
  checkIssuer(settings.jwtIssuer);
  return jwtSvidService(
    { ttlMs: settings.jwtSvidTtl, issuer: settings.jwtIssuer },
    {
      ...deps,
      rate: new IssuanceRate({ perMinute: settings.certificatesPerMinute }, { clock }),
      isRevoked: (identity) => revocation.covers({ identity }),
      metrics: declareJwtMetrics(deps.metrics),
      log: deps.log.child({ component: 'ca' }),
    },
  );
}

/** As OpenID Connect Discovery section 3 asks for. */
function checkIssuer(issuer: string | undefined): void {
  if (issuer === undefined) return;
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
  if (url?.protocol === 'https:' && url.search === '' && url.hash === '') return;
  throw new BulwarkError('SETTINGS_INVALID', `jwtIssuer ${JSON.stringify(issuer)} is no issuer`, {
    remedy: 'write an https URL without query and fragment',
  });
}
