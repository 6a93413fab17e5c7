import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { HardeningProfile } from '#model/mesh-settings.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { CompiledPolicy } from '#policy/authz/compiled-policy.ts';
import type { Condition } from '#policy/authz/condition.ts';
import { Authorizer } from '#policy/authz/selection.ts';
import { type PolicyObject, shownObject } from '#policy/decide/layer.ts';
import { HARDENING, type Hardening } from '#policy/hardening.ts';
import { HARDENING_TEXTS } from '#policy/hardening-texts.ts';
import { type Weakness, weaknessesOf } from '#policy/weaknesses.ts';

/** One difference between the profiles, as it is in a mesh. */
export interface AuditedDifference {
  /** Its name in the code and in the JSON form. */
  readonly name: keyof Hardening;
  /** Whether the mesh does as `strict` does. */
  readonly isStrict: boolean;
  readonly istio: string;
  readonly strict: string;
  /** Policies that mean something else under the other profile, or may: `Kind namespace/name`. */
  readonly reliedOnBy: readonly string[];
}

/** How well a mesh is protected by its settings. */
export interface HardeningAudit {
  readonly profile: HardeningProfile;
  readonly differences: readonly AuditedDifference[];
  /** Settings and objects that are weaker than the profile `strict` of a new installation. */
  readonly weaknesses: readonly Weakness[];
}

/** Lists what the profile of a mesh does, and what in the mesh is weaker than need be. Pure. */
export function auditHardening(mesh: MeshSnapshot): HardeningAudit {
  const profile = mesh.settings.hardening;
  const authorizer = new Authorizer(mesh.settings);
  const compiled = mesh.authorizationPolicies.all().map((policy) => ({
    policy,
    compiled: authorizer.compile(policy),
  }));
  const names = Object.keys(HARDENING_TEXTS) as (keyof Hardening)[];
  return {
    profile,
    differences: names.map((name) => ({
      name,
      isStrict: HARDENING[profile][name],
      ...HARDENING_TEXTS[name],
      reliedOnBy: [
        ...compiled
          .filter((one) => RELIES[name]?.(one) ?? false)
          .map((one) => shownObject(nameOf(one.compiled))),
        ...tokenRulesOn(name, mesh),
      ],
    })),
    weaknesses: weaknessesOf(mesh, authorizer),
  };
}

interface Both {
  readonly policy: AuthorizationPolicy;
  readonly compiled: CompiledPolicy;
}

/** Which policies a difference is about, for those that only some policies meet. */
const RELIES: Partial<Readonly<Record<keyof Hardening, (both: Both) => boolean>>> = {
  hostMatchIgnoresPort: ({ compiled }) => tests(compiled, ({ on }) => on === 'host'),
  fragmentsAreRefused: ({ compiled }) => tests(compiled, ({ on }) => on === 'path'),
  templateMatchesAnyCharacter: ({ compiled }) =>
    tests(
      compiled,
      (one) =>
        one.on === 'path' &&
        [...one.values, ...one.notValues].some(({ match }) => match === 'template'),
    ),
  peerIdentityIsAnchored: ({ compiled }) =>
    tests(compiled, ({ on }) => on === 'namespace' || on === 'serviceAccount'),
  principalSchemeIsOptional: ({ policy }) => JSON.stringify(policy.spec ?? {}).includes(SCHEME),
  allowByExclusionNeedsPeer: ({ compiled }) =>
    compiled.action === 'ALLOW' && tests(compiled, (one) => PEER.has(one.on) && isExclusion(one)),
  callerAddressIsPeers: ({ compiled }) => tests(compiled, ({ on }) => on === 'remoteIp'),
  customProvidersAreIndependent: ({ compiled }) => compiled.action === 'CUSTOM',
  everyCustomMatchIsAsked: ({ compiled }) => compiled.action === 'CUSTOM',
  providedHeadersAreStripped: ({ compiled }) => compiled.action === 'CUSTOM',
  claimsMatchByText: ({ compiled }) => tests(compiled, ({ on }) => on === 'claim'),
  presenceSpansLines: ({ compiled }) =>
    tests(compiled, (one) => USERS.has(one.on) && JSON.stringify(one).includes(PRESENCE)),
};

const SCHEME = '"spiffe://';
/** Of end users: what their tokens say. */
const USERS: ReadonlySet<Condition['on']> = new Set<Condition['on']>(['claim', 'requestPrincipal']);
const PRESENCE = '"match":"present"';
const PEER: ReadonlySet<Condition['on']> = new Set<Condition['on']>([
  'principal',
  'namespace',
  'serviceAccount',
  'trustDomain',
]);

function tests({ http }: CompiledPolicy, holds: (condition: Condition) => boolean): boolean {
  return http.some(({ sources, operations }) => [...sources, ...operations].flat().some(holds));
}

function isExclusion({ notValues }: Condition): boolean {
  return notValues.length > 0;
}

function nameOf({ kind, namespace, name }: CompiledPolicy): PolicyObject {
  return { kind, namespace, name };
}

function tokenRulesOn(name: keyof Hardening, mesh: MeshSnapshot): readonly string[] {
  const relies =
    name === 'requiredTokensAreEnforced'
      ? (presence: string | undefined): boolean => presence === 'REQUIRED'
      : name === 'bearerIsChecked'
        ? (): boolean => true
        : undefined;
  if (relies === undefined) return [];
  return mesh.requestAuthentications
    .all()
    .filter(({ spec }) => (spec?.jwtRules ?? []).some(({ presence }) => relies(presence)))
    .map(({ kind, metadata: { namespace = '', name: own } }) =>
      shownObject({ kind, namespace, name: own }),
    );
}
