import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { kindOf } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import { CONDITION, ENFORCED_KINDS } from '#policy/enforced-kinds.ts';

/** How far an object is enforced, as its status says. */
export interface Standing {
  /**
   * `enforced`: by all connected proxies that it is for. `nobody`: there are none. `refused`: one
   * does not take it. `behind`: one did not answer yet. `untold`: the status is of another
   * generation, or says nothing.
   */
  readonly state: 'enforced' | 'nobody' | 'refused' | 'behind' | 'untold';
  /** For people. */
  readonly message: string;
}

/** Whether proxies enforce objects of its kind. */
export function isEnforced({ apiVersion, kind }: ApiObject): boolean {
  const id = kindOf(apiVersion, kind)?.id;
  return id !== undefined && ENFORCED_KINDS.includes(id);
}

/** How far an object is enforced. */
export function standingOf(object: ApiObject): Standing {
  const reconciled = conditionOf(object, CONDITION.reconciled);
  const { generation } = object.metadata;
  if (!reconciled || reconciled.observedGeneration !== generation)
    return { state: 'untold', message: 'the server has not said yet who enforces it' };
  const { status, reason, message = '' } = reconciled;
  if (status === 'True') return { state: 'enforced', message };
  if (status === 'False') return { state: reason === 'Waiting' ? 'behind' : 'refused', message };
  const accepted = conditionOf(object, CONDITION.accepted);
  const isForNobody = accepted?.status === 'False';
  return { state: 'nobody', message: isForNobody ? (accepted.message ?? message) : message };
}

/** What was found about an object; undefined when there is nothing. */
export function findingsOfStatus(object: ApiObject): string | undefined {
  return conditionOf(object, CONDITION.findings)?.message;
}

function conditionOf(object: ApiObject, wanted: string) {
  const { status } = object as { readonly status?: IstioStatus };
  return status?.conditions?.find(({ type }) => type === wanted);
}
