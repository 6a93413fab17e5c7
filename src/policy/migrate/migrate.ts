import type { Diagnostic } from '#api/diagnostic.ts';
import { hasErrors } from '#api/diagnostic.ts';
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { ApiObject } from '#api/object.ts';
import { validateObject } from '#api/validate.ts';
import { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { PolicyFinder } from '#policy/authn/workload-policies.ts';
import { compareMeshes, type ToTell } from '#policy/migrate/compare.ts';
import { Draft, type MadeObject, type MigrationFinding } from '#policy/migrate/draft.ts';
import { migrateOrigins } from '#policy/migrate/origins.ts';
import { migratePeers } from '#policy/migrate/peers.ts';
import { migrateRoles } from '#policy/migrate/roles.ts';
import { checkTargets } from '#policy/migrate/targets.ts';

/** What becomes of the objects of older APIs. */
export interface Migration {
  /** Every object of an older API that is to go, also where nothing comes in its place. */
  readonly replaced: readonly ApiObject[];
  /** In the order in which they can be applied beside the older ones. */
  readonly made: readonly MadeObject[];
  /** Errors: the meaning would not be the same. Warnings: what a user should know. */
  readonly findings: readonly MigrationFinding[];
  /** Whether every workload is decided about as before. */
  readonly isProven: boolean;
}

/**
 * Turns Policy and MeshPolicy into PeerAuthentication, RequestAuthentication and
 * AuthorizationPolicy, and roles with their bindings into AuthorizationPolicy, and proves that they
 * mean the same: the modes of every port, the tokens that are taken, and the decisions on requests
 * that meet and miss each condition of the policies of both. Pure.
 * @param knowsAll whether what is not in the mesh is nowhere: what names it then means nothing;
 *   otherwise it cannot be carried over
 */
export function migrate(
  mesh: MeshSnapshot,
  { knowsAll = false }: { readonly knowsAll?: boolean } = {},
): Migration {
  const draft = new Draft(mesh, { knowsAll });
  checkTargets(draft);
  migratePeers(draft);
  migrateOrigins(draft);
  migrateRoles(draft);
  const { findings } = draft;
  const made = draft.made.toSorted((a, b) => rankOf(a) - rankOf(b));
  const replaced = [
    ...mesh.meshPolicies.all(),
    ...mesh.authenticationPolicies.all(),
    ...mesh.clusterRbacConfigs.all(),
    ...mesh.rbacConfigs.all(),
    ...mesh.serviceRoles.all(),
    ...mesh.serviceRoleBindings.all(),
  ];
  for (const { object, from } of made) {
    for (const one of validateObject(object).diagnostics) reportInvalid(one, object, from, draft);
  }
  const [any] = replaced;
  if (any !== undefined) compareMeshes(draft, meshAfter(mesh, made), whoToTell(mesh, any));
  return { replaced, made, findings, isProven: !hasErrors(findings) };
}

/**
 * The order in which new objects can be applied while the older ones are in force, and nobody is
 * let in meanwhile: a policy takes workloads away from roles, and rules for tokens from `origins`.
 */
function rankOf({ object }: MadeObject): number {
  const { kind, spec } = object as AuthorizationPolicy;
  if (kind === 'PeerAuthentication') return 4;
  if (kind === 'RequestAuthentication') return 3;
  if (spec?.action === 'DENY') return 2;
  return spec?.rules === undefined ? 1 : 0;
}

function reportInvalid(
  { severity, field, message }: Diagnostic,
  { kind, metadata }: ApiObject,
  from: readonly ApiObject[],
  draft: Draft,
): void {
  const [first] = from;
  if (first === undefined || severity !== 'error') return;
  const text = `${kind} ${metadata.name} would not be valid: ${field}: ${message}`;
  draft.report(first, { severity, field: 'spec', message: text });
}

/** The mesh with new objects in place of the older ones. */
function meshAfter(mesh: MeshSnapshot, made: readonly MadeObject[]): MeshSnapshot {
  const added = <T extends ApiObject>(objects: NamespacedObjects<T>, kind: string) => {
    const ofKind = made.map(({ object }) => object).filter((object) => object.kind === kind);
    const byNamespace = Map.groupBy(ofKind, ({ metadata }) => metadata.namespace ?? '');
    const lists = [...byNamespace].map(
      ([namespace, list]) => [namespace, [...objects.in(namespace), ...(list as T[])]] as const,
    );
    return objects.replace(new Map(lists));
  };
  return {
    ...mesh,
    authenticationPolicies: NamespacedObjects.empty(),
    meshPolicies: NamespacedObjects.empty(),
    clusterRbacConfigs: NamespacedObjects.empty(),
    rbacConfigs: NamespacedObjects.empty(),
    serviceRoles: NamespacedObjects.empty(),
    serviceRoleBindings: NamespacedObjects.empty(),
    peerAuthentications: added(mesh.peerAuthentications, 'PeerAuthentication'),
    requestAuthentications: added(mesh.requestAuthentications, 'RequestAuthentication'),
    authorizationPolicies: added(mesh.authorizationPolicies, 'AuthorizationPolicy'),
  };
}

/** A difference is told of the policy that decides about the port so far, or of what roles say. */
function whoToTell(mesh: MeshSnapshot, any: ApiObject): ToTell {
  const finder = new PolicyFinder(mesh.settings.clusterDomain);
  return (workload, port) => {
    const { common, ports } = finder.policiesOf(workload, mesh);
    return ports.get(port) ?? common ?? mesh.serviceRoleBindings.in(workload.namespace)[0] ?? any;
  };
}
