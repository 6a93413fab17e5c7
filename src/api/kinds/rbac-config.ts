import { ageColumn, fieldColumn } from '#api/columns.ts';
import { invalid, required, warning } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { defineIstioKind, type IstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import type { ApiObject } from '#api/object.ts';
import { choice, list, object, text, type ValueOf } from '#api/schema.ts';

const places = (description: string) =>
  object(description, {
    services: list('Services by their full names.', text('`<name>.<namespace>.svc.<domain>`.')),
    namespaces: list('All services of these namespaces.', text('A namespace.')),
  });

const spec = object('Where roles and bindings count.', {
  mode: choice('For which services a caller needs a role; OFF when left out.', [
    'OFF',
    'ON',
    'ON_WITH_INCLUSION',
    'ON_WITH_EXCLUSION',
  ]),
  inclusion: places('For ON_WITH_INCLUSION: the only services for which a caller needs a role.'),
  exclusion: places('For ON_WITH_EXCLUSION: the services for which a caller needs no role.'),
  enforcementMode: choice('PERMISSIVE: who would be refused is recorded, and nobody is refused.', [
    'ENFORCED',
    'PERMISSIVE',
  ]),
});

/** `spec` of ClusterRbacConfig and RbacConfig. */
export interface RbacConfigSpec extends ValueOf<typeof spec> {}

/** ClusterRbacConfig or RbacConfig of rbac.istio.io/v1alpha1. */
export interface RbacConfig extends ApiObject {
  readonly spec?: RbacConfigSpec;
  readonly status?: IstioStatus;
}

function checkRbacConfig({ metadata, spec: given = {} }: RbacConfig, report: Report): void {
  const { mode = 'OFF', inclusion, exclusion } = given;
  if (metadata.name !== 'default')
    report(invalid('metadata.name', metadata.name, 'must be "default": there is only one'));
  if (mode === 'ON_WITH_INCLUSION' && inclusion === undefined)
    report(required('spec.inclusion', 'write `inclusion: {}` for no service at all'));
  if (mode === 'ON_WITH_EXCLUSION' && exclusion === undefined)
    report(required('spec.exclusion', 'write `exclusion: {}` for no exception'));
  if (mode !== 'ON_WITH_INCLUSION' && inclusion !== undefined)
    report(warning('spec.inclusion', `means nothing with the mode ${mode}`));
  if (mode !== 'ON_WITH_EXCLUSION' && exclusion !== undefined)
    report(warning('spec.exclusion', `means nothing with the mode ${mode}`));
}

const common = {
  group: 'rbac.istio.io',
  versions: ['v1alpha1'],
  shortNames: [],
  spec,
  columns: [fieldColumn('Mode', '.spec.mode', 'Where roles and bindings count.'), ageColumn],
  check: checkRbacConfig,
} as const satisfies Partial<IstioKind<RbacConfig>>;

/** ClusterRbacConfig: turns roles and bindings on; cluster-scoped, named `default`. */
export const clusterRbacConfig = defineIstioKind<RbacConfig>({
  ...common,
  kind: 'ClusterRbacConfig',
  plural: 'clusterrbacconfigs',
  namespaced: false,
  description: 'Says for which services a caller needs a ServiceRole.',
});

/** RbacConfig: its older form, in a namespace; counts where there is no ClusterRbacConfig. */
export const rbacConfig = defineIstioKind<RbacConfig>({
  ...common,
  kind: 'RbacConfig',
  plural: 'rbacconfigs',
  description: 'Says for which services a caller needs a ServiceRole (older form).',
});
