// Who may talk to whom in a mesh of a thousand services: the work of `bulwark matrix`, against the
// five seconds that people are promised. Every service has a policy of three rules.
import type { ApiObject } from '#api/object.ts';
import { matrixOf } from '#policy/decide/matrix.ts';
import { testMesh } from '../../test/kit/mesh.ts';
import { objectsOf, serviceObjects } from '../../test/kit/objects.ts';
import type { BenchResult } from '../bench-result.ts';

const SERVICES = 1000;
const NAMESPACES = 50;
const ROUNDS = 3;
const LIMIT_MS = 5000;

function objectsOfService(index: number): ApiObject[] {
  const namespace = `ns-${index % NAMESPACES}`;
  const name = `service-${index}`;
  const callers = [1, 2, 3].map((step) => {
    const other = (index + step * 7) % SERVICES;
    return `cluster.local/ns/ns-${other % NAMESPACES}/sa/service-${other}`;
  });
  const rules = callers.map(
    (caller, at) => `{from: [{source: {principals: ["${caller}"]}}],
      to: [{operation: {methods: [GET], paths: ["/v${at}/*"]}}]}`,
  );
  const [service] = serviceObjects(namespace, name, [{ name: 'http', port: 80 }]);
  return [
    ...(service ? [service] : []),
    ...objectsOf(`
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  address: 10.${index >> 8}.${index & 255}.1
  labels: {app: ${name}}
  serviceAccount: ${name}
  ports: {http: 8080}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: ${namespace}}
spec: {selector: {matchLabels: {app: ${name}}}, rules: [${rules.join(', ')}]}
`),
  ];
}

/** A matrix of a thousand services, from a snapshot on. */
export async function bench(): Promise<BenchResult> {
  const objects = Array.from({ length: SERVICES }, (_, index) => objectsOfService(index)).flat();
  const snapshot = testMesh(objects).model.snapshot();
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const startMs = performance.now();
    const rows = matrixOf(snapshot);
    const reached = rows.flatMap(({ from }) =>
      [...from.values()].filter(({ reach }) => reach !== 'none'),
    );
    if (rows.length !== SERVICES || reached.length !== 3 * SERVICES)
      throw new Error(`${rows.length} services, ${reached.length} callers`);
    times.push(performance.now() - startMs);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const value = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const [min = 0] = sorted;
  return {
    name: 'matrix',
    numerator: { label: 'matrix of 1000 services and 1001 callers', value, unit: 'ms' },
    denominator: { label: 'what is promised', value: LIMIT_MS, unit: 'ms' },
    ratio: value / LIMIT_MS,
    spread: { min: min / LIMIT_MS, max: (sorted.at(-1) ?? 0) / LIMIT_MS },
    goal: 1,
  };
}
