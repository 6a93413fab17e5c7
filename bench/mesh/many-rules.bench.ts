// What a policy of a thousand rules costs, each with its own caller and path: CPU time of the Envoy
// that enforces it for each request of the last one, against a policy of that rule alone.
import { objectsOf } from '../../test/kit/objects.ts';
import { exchange } from '../../test/kit/peer-call.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import type { BenchResult } from '../bench-result.ts';
import { pairedCpu } from '../paired-cpu.ts';
import { startGuardedBackend } from './guarded-backend.ts';

const MANY = 1000;
const GOAL = 1.1;
const requestOf = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: backend\r\n\r\n`;

const rule = (namespace: string, account: string, path: string): string => `
    - from: [{ source: { principals: [cluster.local/ns/${namespace}/sa/${account}] } }]
      to: [{ operation: { paths: [${path}], methods: [GET] } }]`;

/** The rule that is measured comes last. */
function policy(others: number) {
  const rules = Array.from({ length: others }, (_, at) => rule(`team-${at}`, 'app', `/of/${at}`));
  // The probe tells which policy is in force.
  const probe = others > 1 ? rule('web', 'probe', '/probe') : '';
  return objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: backend, namespace: shop }
spec:
  rules: ${rules.join('')}${probe}${rule('web', 'caller', '/mine')}
`);
}

const POLICIES = { numerator: policy(MANY - 2), denominator: policy(0) };
const PROBED = { numerator: 200, denominator: 403 };

/** A request under a thousand rules, against one under one. */
export function bench(): Promise<BenchResult> {
  return pairedCpu({
    name: 'many-rules',
    numerator: `${MANY} rules in the policy`,
    denominator: 'one rule',
    goal: GOAL,
    start: async (after) => {
      const backend = await startGuardedBackend(after);
      const [caller, probe] = [backend.open('caller'), backend.open('probe')];
      return {
        use: async (state) => {
          backend.put(...POLICIES[state]);
          const isThere = async () =>
            (await exchange(probe, requestOf('/probe'))) === PROBED[state];
          await waitUntil(isThere, 'it is in force');
        },
        ask: () => exchange(caller, requestOf('/mine')),
        cpuUs: backend.cpuUs,
      };
    },
  });
}
