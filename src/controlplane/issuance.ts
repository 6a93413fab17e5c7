import type { ServiceAccountTokens } from '#apiserver/service-account-tokens.ts';
import type { Clock } from '#base/clock.ts';
import type { GrpcService } from '#base/grpc/grpc.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import type { Settings } from '#base/settings-table.ts';
import { CertificateAttestor, type CertificateAttestorDeps } from '#ca/attestation/certificate.ts';
import { JoinTokenAttestor } from '#ca/attestation/join-token.ts';
import type { OidcRule } from '#ca/attestation/oidc-rules.ts';
import { OidcTokenAttestor } from '#ca/attestation/oidc-token.ts';
import { ServiceAccountTokenAttestor } from '#ca/attestation/service-account-token.ts';
import { type Attestor, AttestorList, type Authenticator } from '#ca/authenticator.ts';
import { csrService } from '#ca/csr-service.ts';
import { IssuanceRate } from '#ca/issuance-rate.ts';
import type { IssuanceJournal } from '#ca/journal/journal.ts';
import type { Authority } from '#controlplane/authority.ts';
import { openDelegation } from '#controlplane/delegation.ts';
import { certificateProofs, openForwarders } from '#controlplane/forwarded-callers.ts';
import type { Mesh } from '#controlplane/mesh.ts';
import type { RevocationCheck } from '#controlplane/revocation.ts';
import { meshTrustDomains } from '#model/mesh-settings.ts';
import type { Store } from '#store/store.ts';

/** What certificates are given out with. */
export interface IssuanceParts {
  readonly mesh: Mesh;
  readonly authority: Pick<Authority, 'issuer' | 'metrics' | 'roots' | 'siteLists' | 'sites'>;
  readonly store: Store;
  readonly tokens: ServiceAccountTokens;
  readonly journal: IssuanceJournal;
  readonly oidcRules: readonly OidcRule[];
  readonly revocation: RevocationCheck;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Logger;
}

/** Who may have certificates, and the service that gives them. */
export interface Issuance {
  /** For whoever may use the rest of the server: proofs that are not used up. */
  readonly tokenAuthenticator: Authenticator;
  /** The same, and certificates. */
  readonly authenticator: Authenticator;
  readonly service: GrpcService;
}

/** Puts the ways to prove an identity in order, and the certificate service behind them. */
export function openIssuance(settings: Settings, parts: IssuanceParts): Issuance {
  const { mesh, authority, journal, oidcRules, revocation, clock, log } = parts;
  const { trustDomain } = mesh.settings;
  const tokenAttestors = [
    new OidcTokenAttestor({ trustDomain, rules: oidcRules }, { clock }),
    serviceAccountTokens(settings, parts),
  ];
  const accountExists = knowsAccount(parts.store);
  const certificates = certificateAttestor(parts, accountExists);
  const forwarders = openForwarders(settings.trustedGatewayCidrs, mesh.settings.hardening);
  const forwarded = { settings: mesh.settings, forwarders, accountExists };
  const joinTokens = new JoinTokenAttestor({ trustDomain }, { store: parts.store, clock });
  const service = csrService({
    authenticator: new AttestorList([
      ...certificateProofs(certificates, forwarded),
      joinTokens,
      ...tokenAttestors,
    ]),
    issuer: authority.issuer,
    ...openDelegation(settings, parts),
    rate: new IssuanceRate({ perMinute: settings.certificatesPerMinute }, { clock }),
    journal,
    isRevoked: (identity) => revocation.covers({ identity }),
    metrics: authority.metrics,
    clock,
    log: log.child({ component: 'ca' }),
  });
  return {
    tokenAuthenticator: new AttestorList(tokenAttestors),
    authenticator: new AttestorList([certificates, ...tokenAttestors]),
    service,
  };
}

type AccountExists = CertificateAttestorDeps['accountExists'];

function knowsAccount(store: Store): AccountExists {
  return async ({ namespace, serviceAccount: name }) =>
    (await store.get({ kind: 'serviceaccounts', namespace, name })) !== undefined;
}

/** The proof that this authority made itself, asked first. */
function certificateAttestor(
  { mesh, clock }: IssuanceParts,
  accountExists: AccountExists,
): Attestor {
  const { trustDomain } = mesh.settings;
  const isRevoked = (serial: string) => mesh.model.snapshot().revocations.covers({ serial });
  const trustDomains = meshTrustDomains(mesh.settings);
  return new CertificateAttestor(
    { trustDomain, trustDomains },
    { clock, accountExists, isRevoked },
  );
}

/**
 * Tokens of the platform. With the policy for first-party tokens, those for the API server itself
 * are good too, as in Istio: whoever steals one from a pod's disk can be that pod.
 */
function serviceAccountTokens(
  { jwtPolicy, tokenAudiences }: Settings,
  { mesh, tokens }: IssuanceParts,
): Attestor {
  const more = jwtPolicy === 'first-party-jwt' ? [tokens.issuer] : [];
  return new ServiceAccountTokenAttestor(
    { trustDomain: mesh.settings.trustDomain, audiences: [...tokenAudiences, ...more] },
    { reviewToken: (token, audiences) => tokens.reviewToken(token, audiences) },
  );
}
