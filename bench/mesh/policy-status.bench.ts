// How far 10,000 policies are enforced on 1,000 proxies, after a change of one of them: the work of
// one round over the status of all, with what is found about them, against the half of a second
// that lies between two rounds, in time on a processor. Ten of the policies are for the whole mesh.
import type { ApiObject } from '#api/object.ts';
import { Enforcement } from '#controlplane/enforcement.ts';
import { enforcementConditions } from '#controlplane/status-conditions.ts';
import { Authorizer } from '#policy/authz/selection.ts';
import { DecidingObjects } from '#policy/deciding-objects.ts';
import { findingsOf } from '#policy/findings.ts';
import { testMesh, testProxy } from '../../test/kit/mesh.ts';
import { objectsOf } from '../../test/kit/objects.ts';
import type { BenchResult } from '../bench-result.ts';
import { median } from '../median.ts';

const NAMESPACES = 100;
const POLICIES_PER_NAMESPACE = 100;
const PROXIES_PER_NAMESPACE = 10;
const MESH_POLICIES = 10;
const ROUNDS = 7;
const LIMIT_MS = 500;

function policy(namespace: string, name: string, spec: object): ApiObject {
  const metadata = { name, namespace, generation: 1 };
  const object = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata,
    spec,
  };
  return object as ApiObject;
}

function policiesIn(namespace: string): ApiObject[] {
  return Array.from({ length: POLICIES_PER_NAMESPACE }, (_, index) => {
    const principal = `cluster.local/ns/${namespace}/sa/app`;
    const rules = [{ from: [{ source: { principals: [principal] } }] }];
    const app = `app-${index % PROXIES_PER_NAMESPACE}`;
    return policy(namespace, `p${index}`, { selector: { matchLabels: { app } }, rules });
  });
}

function workloadsIn(namespace: string): ApiObject[] {
  const entries = Array.from(
    { length: PROXIES_PER_NAMESPACE },
    (_, index) => `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: app-${index}, namespace: ${namespace}}
spec: {address: 10.0.0.${index}, serviceAccount: app, labels: {app: app-${index}}}
`,
  );
  return objectsOf(entries.join('---'));
}

/** A round over the status of 10,010 policies. */
export async function bench(): Promise<BenchResult> {
  const names = Array.from({ length: NAMESPACES }, (_, index) => `ns-${index}`);
  const policies = [
    ...names.flatMap(policiesIn),
    ...Array.from({ length: MESH_POLICIES }, (_, index) =>
      policy('istio-system', `m${index}`, { rules: [{}] }),
    ),
  ];
  const mesh = testMesh([...policies, ...names.flatMap(workloadsIn)]);
  const snapshot = () => mesh.model.snapshot();
  const authorizer = new Authorizer(mesh.settings);
  const deciding = new DecidingObjects(authorizer, mesh.settings);
  const nodes = names.flatMap((namespace) =>
    Array.from({ length: PROXIES_PER_NAMESPACE }, (_, index) => {
      const workloadName = `app-${index}`;
      return testProxy({ nodeId: `${workloadName}.${namespace}`, namespace, workloadName });
    }),
  );
  let version = snapshot().version;
  const enforcement = new Enforcement({
    mesh: snapshot,
    objectsOf: (workload) => deciding.of(workload, snapshot()),
    versionOf: (object) => mesh.model.versionOf(object),
    progress: () => {
      const taken = { version, refused: [], isWaiting: false };
      return nodes.map((node) => ({
        node,
        failure: undefined,
        types: { lds: taken, ecds: taken },
      }));
    },
  });
  /** Whether every proxy has every policy, but for the one that was changed. */
  const round = (): number => {
    enforcement.look();
    findingsOf(snapshot(), authorizer);
    const said = policies.map((one) => enforcementConditions(one, enforcement.verdictOf(one)));
    return said.filter(([, reconciled]) => reconciled?.status === 'True').length;
  };
  round();
  const times: number[] = [];
  for (let index = 0; index < ROUNDS; index += 1) {
    version = snapshot().version;
    const [changed] = policiesIn(`ns-${index}`);
    if (changed) mesh.put({ ...changed, spec: { rules: [] } } as ApiObject);
    const { user, system } = process.cpuUsage();
    const enforced = round();
    const spent = process.cpuUsage({ user, system });
    times.push((spent.user + spent.system) / 1000);
    if (enforced !== policies.length - 1) throw new Error(`${enforced} are enforced`);
  }
  const value = median(times);
  return {
    name: 'policy-status',
    numerator: { label: 'status of 10,010 policies on 1,000 proxies', value, unit: 'ms' },
    denominator: { label: 'time between two rounds', value: LIMIT_MS, unit: 'ms' },
    ratio: value / LIMIT_MS,
    spread: { min: Math.min(...times) / LIMIT_MS, max: Math.max(...times) / LIMIT_MS },
    goal: 1,
  };
}
