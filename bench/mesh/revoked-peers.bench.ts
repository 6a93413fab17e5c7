// What a thousand revocations cost everybody else: CPU time of the receiving Envoy for each request
// while so many peers are revoked, against none, in alternation on the same connection.
import { objectsOf } from '../../test/kit/objects.ts';
import { exchange } from '../../test/kit/peer-call.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import type { BenchResult } from '../bench-result.ts';
import { pairedCpu } from '../paired-cpu.ts';
import { startGuardedBackend } from './guarded-backend.ts';

const REVOKED = 1000;
const GOAL = 1.2;
const REQUEST = 'GET / HTTP/1.1\r\nhost: backend\r\n\r\n';
const PROBE = '{ identity: spiffe://cluster.local/ns/web/sa/probe }';

/** The last one is the probe, which tells when a change is there. */
const REVOCATIONS = Array.from({ length: REVOKED }, (_, index) =>
  objectsOf(`
apiVersion: bulwark.mesh/v1alpha1
kind: CertificateRevocation
metadata: { name: r${index} }
spec: ${index === REVOKED - 1 ? PROBE : `{ serial: "${(0xa000 + index).toString(16)}" }`}
`),
).flat();

/** A request with a thousand revoked peers, against one without. */
export function bench(): Promise<BenchResult> {
  return pairedCpu({
    name: 'revoked-peers',
    numerator: `${REVOKED} peers revoked`,
    denominator: 'none revoked',
    goal: GOAL,
    start: async (after) => {
      const backend = await startGuardedBackend(after);
      const [caller, probe] = [backend.open('caller'), backend.open('probe')];
      const becomes = (status: number) =>
        waitUntil(async () => (await exchange(probe, REQUEST)) === status, `${status} is told`);
      return {
        use: async (state) => {
          if (state === 'numerator') backend.put(...REVOCATIONS);
          else backend.remove(...REVOCATIONS);
          await becomes(state === 'numerator' ? 403 : 200);
        },
        ask: () => exchange(caller, REQUEST),
        cpuUs: backend.cpuUs,
      };
    },
  });
}
