import { forbidden, violates } from '#api/field-error.ts';
import { defineKind, type KindDefinition, type KindDescription, type Report } from '#api/kind.ts';
import { istioStatus } from '#api/kinds/istio-status.ts';
import type { ApiObject } from '#api/object.ts';
import type { Schema } from '#api/schema.ts';

/** Annotation that lets tests see whether admission works: an object that carries it is refused. */
const ALWAYS_REJECT = 'internal.istio.io/webhook-always-reject';
/** Annotation of an AuthorizationPolicy that is evaluated and counted but not enforced. */
export const DRY_RUN = 'istio.io/dry-run';

/** What differs between the kinds of Istio. */
export interface IstioKind<T extends ApiObject>
  extends Pick<
    KindDescription<T>,
    'versions' | 'kind' | 'plural' | 'shortNames' | 'description' | 'columns' | 'defaults'
  > {
  readonly group:
    | 'networking.istio.io'
    | 'security.istio.io'
    | 'authentication.istio.io'
    | 'rbac.istio.io'
    | 'config.istio.io';
  /** False for kinds of the whole cluster. */
  readonly namespaced?: false;
  readonly spec: Schema;
  /** Where a missing spec does not mean the same as an empty one. */
  readonly specRequired?: true;
  /** Whether the kind knows the dry-run annotation. */
  readonly dryRun?: true;
  check(object: T, report: Report): void;
}

/** Completes a kind of Istio's API: all have a status, and all but few are namespaced. */
export function defineIstioKind<T extends ApiObject>(kind: IstioKind<T>): KindDefinition<T> {
  const { spec, specRequired, dryRun, ...rest } = kind;
  return defineKind<T>({
    ...rest,
    categories: ['istio-io', kind.group.replaceAll('.', '-')],
    namespaced: kind.namespaced ?? true,
    statusSubresource: true,
    nameRule: 'subdomain',
    fields: { spec, status: istioStatus },
    ...(specRequired ? { requiredFields: ['spec'] } : {}),
    check(object, report) {
      const annotations = object.metadata.annotations ?? {};
      if (Object.hasOwn(annotations, ALWAYS_REJECT)) {
        const field = `metadata.annotations[${ALWAYS_REJECT}]`;
        report(violates(field, 'the annotation asks that the object be refused'));
      }
      if (!dryRun && Object.hasOwn(annotations, DRY_RUN)) {
        const field = `metadata.annotations[${DRY_RUN}]`;
        report(forbidden(field, `only AuthorizationPolicy can be dry-run, not ${kind.kind}`));
      }
      kind.check(object, report);
    },
  });
}
