import type { Diagnostic } from '#api/diagnostic.ts';
import { violates } from '#api/field-error.ts';
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { ApiObject } from '#api/object.ts';
import type { ObjectCheck } from '#apiserver/admit.ts';
import { ownDomainRefusal } from '#controlplane/federation.ts';
import type { Mesh } from '#controlplane/mesh.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import { Providers } from '#policy/authz/providers.ts';
import { HARDENING } from '#policy/hardening.ts';

/** What this mesh minds of objects that are fine by themselves, as it is configured now. */
export function objectCheck(mesh: Pick<Mesh, 'settings'>): ObjectCheck {
  return (object) => [
    ...ownDomainRefusal(object, mesh.settings),
    ...unknownProvider(object, mesh.settings),
  ];
}

/**
 * A policy that names a provider which is not there would only deny: its author learns it at once.
 */
function unknownProvider(
  object: ApiObject,
  { hardening, extensionProviders }: MeshSettings,
): readonly Diagnostic[] {
  if (object.kind !== 'AuthorizationPolicy') return [];
  if (!HARDENING[hardening].unknownProvidersAreRefused) return [];
  const { action, provider } = (object as AuthorizationPolicy).spec ?? {};
  if (action !== 'CUSTOM' || !provider?.name) return [];
  const unknown = new Providers(extensionProviders).unknown(provider.name);
  if (unknown === undefined) return [];
  return [violates('spec.provider.name', unknown.problem, unknown.remedy)];
}
