import { startAuthzEnvoy } from '../../../kit/authz-envoy.ts';
import type { RowDecision } from './decide-row.ts';

/** What a real Envoy says of the calls that it can be asked about. */
export async function verdictsOfEnvoy(
  decisions: readonly RowDecision[],
): Promise<ReadonlyMap<RowDecision, string>> {
  const asked = decisions.flatMap((decision) =>
    decision.asked === undefined ? [] : [[decision, decision.asked] as const],
  );
  const verdicts = new Map<RowDecision, string>();
  if (asked.length === 0) return verdicts;
  const authorizations = [...new Set(asked.map(([, { authorization }]) => authorization))];
  const ends: (() => unknown)[] = [];
  try {
    const after = (end: () => unknown) => ends.unshift(end);
    const envoy = await startAuthzEnvoy({ after }, authorizations, 'istio');
    for (const [decision, { authorization, request }] of asked) {
      const { verdict } = await envoy.decide(authorizations.indexOf(authorization), request);
      verdicts.set(decision, verdict);
    }
  } finally {
    for (const end of ends) await end();
  }
  return verdicts;
}
