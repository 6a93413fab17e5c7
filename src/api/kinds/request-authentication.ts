import { ageColumn } from '#api/columns.ts';
import type { Report } from '#api/kind.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { checkJwtRule, jwtRule } from '#api/kinds/jwt-rule.ts';
import {
  checkPolicyTarget,
  labelSelector,
  targetReference,
  targetReferences,
} from '#api/kinds/workload-target.ts';
import type { ApiObject } from '#api/object.ts';
import { list, object, type ValueOf } from '#api/schema.ts';

const spec = object('Which tokens of end users a workload takes.', {
  selector: labelSelector,
  targetRef: targetReference,
  targetRefs: targetReferences,
  jwtRules: list('One for each issuer; a token that fits none is refused.', jwtRule, {
    maxItems: 4096,
  }),
});

/** What a RequestAuthentication asks for. */
export interface RequestAuthenticationSpec extends ValueOf<typeof spec> {}

/**
 * Istio's RequestAuthentication (security.istio.io v1, v1beta1). A missing spec means the same as
 * an empty one.
 */
export interface RequestAuthentication extends ApiObject {
  readonly spec?: RequestAuthenticationSpec;
  readonly status?: IstioStatus;
}

function check(object: RequestAuthentication, report: Report): void {
  const { spec: wanted = {} } = object;
  checkPolicyTarget(wanted, report);
  for (const [index, rule] of (wanted.jwtRules ?? []).entries()) {
    checkJwtRule(rule, `spec.jwtRules[${index}]`, report);
  }
}

/** RequestAuthentication. */
export const requestAuthentication = defineIstioKind<RequestAuthentication>({
  group: 'security.istio.io',
  versions: ['v1', 'v1beta1'],
  kind: 'RequestAuthentication',
  plural: 'requestauthentications',
  shortNames: ['ra'],
  description: 'Decides which tokens of end users a workload takes.',
  spec,
  columns: [ageColumn],
  check,
});
