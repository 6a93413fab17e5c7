// What a policy of a thousand identities and a thousand paths costs: CPU time of the Envoy that
// enforces it for each request, against a policy of one of each, in alternation on one connection.
import { objectsOf } from '../../test/kit/objects.ts';
import { exchange } from '../../test/kit/peer-call.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import type { BenchResult } from '../bench-result.ts';
import { pairedCpu } from '../paired-cpu.ts';
import { startGuardedBackend } from './guarded-backend.ts';

const MANY = 1000;
const GOAL = 1.1;
const IDENTITY = 'cluster.local/ns/web/sa/caller';
const PATH = '/orders/of/everybody';
/** Allowed while the large policy is in force. */
const PROBE = '/probe';
const requestOf = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: backend\r\n\r\n`;

/** A policy in which what is asked for comes last. */
function policy(others: number) {
  const names = Array.from({ length: others }, (_, index) => `${index}`);
  const principals = [...names.map((name) => `cluster.local/ns/team-${name}/sa/app`), IDENTITY];
  const paths = [...names.map((name) => `/orders/of/customer-${name}`), PATH];
  const probe = others > 1 ? [PROBE] : [];
  return objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: backend, namespace: shop }
spec:
  rules:
    - from: [{ source: { principals: [${principals}] } }]
      to: [{ operation: { paths: [${[...probe, ...paths]}] } }]
`);
}

const POLICIES = { numerator: policy(MANY - 1), denominator: policy(0) };
const PROBED = { numerator: 200, denominator: 403 };

/** A request under the large policy, against one under the small one. */
export function bench(): Promise<BenchResult> {
  return pairedCpu({
    name: 'large-policy',
    numerator: `${MANY} principals and paths in the policy`,
    denominator: 'one of each',
    goal: GOAL,
    start: async (after) => {
      const backend = await startGuardedBackend(after);
      const [caller, probe] = [backend.open('caller'), backend.open('caller')];
      return {
        use: async (state) => {
          backend.put(...POLICIES[state]);
          const isThere = async () => (await exchange(probe, requestOf(PROBE))) === PROBED[state];
          await waitUntil(isThere, 'it is in force');
        },
        ask: () => exchange(caller, requestOf(PATH)),
        cpuUs: backend.cpuUs,
      };
    },
  });
}
