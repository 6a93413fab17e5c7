import type { Diagnostic } from '#api/diagnostic.ts';
import { violates } from '#api/field-error.ts';
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { ApiObject } from '#api/object.ts';
import type { ObjectCheck } from '#apiserver/admit.ts';
import { ownDomainRefusal } from '#controlplane/federation.ts';
import type { Mesh } from '#controlplane/mesh.ts';
import { Providers } from '#policy/authz/providers.ts';
import { HARDENING } from '#policy/hardening.ts';

/** What this mesh minds of objects that are fine by themselves, as it is configured now. */
export function objectCheck(mesh: Mesh): ObjectCheck {
  const ownDomain = ownDomainRefusal(mesh.settings);
  return (object) => [...ownDomain(object), ...unknownProvider(object, mesh)];
}

/**
 * A policy that names a provider which is not there would only deny: its author learns it at once.
 */
function unknownProvider(object: ApiObject, mesh: Mesh): readonly Diagnostic[] {
  if (object.kind !== 'AuthorizationPolicy') return [];
  if (!HARDENING[mesh.settings.hardening].unknownProvidersAreRefused) return [];
  const { action, provider } = (object as AuthorizationPolicy).spec ?? {};
  if (action !== 'CUSTOM' || !provider?.name) return [];
  const unknown = new Providers(mesh.settings.extensionProviders).unknown(provider.name);
  if (unknown === undefined) return [];
  return [violates('spec.provider.name', unknown.problem, unknown.remedy)];
}
