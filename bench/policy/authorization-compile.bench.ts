// What it costs to compile ten thousand AuthorizationPolicy objects for the thousand workloads that
// they select, against reading their JSON and checking them, as the API server does.
import { validateObject } from '#api/validate.ts';
import { Authorizer } from '#policy/authz/selection.ts';
import { testMesh } from '../../test/kit/mesh.ts';
import { objectsOf, serviceObjects } from '../../test/kit/objects.ts';
import type { BenchResult } from '../bench-result.ts';
import { median } from '../median.ts';

const POLICIES = 10_000;
const NAMESPACES = 50;
const WORKLOADS = 1000;
const ROUNDS = 5;
/** Compiling stays of the order of reading. */
const GOAL = 4;

function policy(index: number) {
  const workload = index % WORKLOADS;
  const caller = `cluster.local/ns/ns-${index % NAMESPACES}/sa/app-${(index + 7) % WORKLOADS}`;
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: `policy-${index}`, namespace: `ns-${workload % NAMESPACES}` },
    spec: {
      selector: { matchLabels: { app: `app-${workload}` } },
      action: index % 5 === 0 ? 'DENY' : 'ALLOW',
      rules: [
        {
          from: [{ source: { principals: [caller], namespaces: ['shop', 'web-*'] } }],
          to: [{ operation: { methods: ['GET', 'POST'], paths: ['/v1/*', '/healthz'] } }],
          when: [{ key: 'request.headers[x-version]', values: ['v1', 'v2'] }],
        },
        { to: [{ operation: { paths: [`/public/${index}`] } }] },
      ],
    },
  };
}

function workload(index: number) {
  const namespace = `ns-${index % NAMESPACES}`;
  const name = `app-${index}`;
  return [
    ...serviceObjects(namespace, name, [{ name: 'http', port: 80 }]).slice(0, 1),
    ...objectsOf(`
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ${name}, namespace: ${namespace} }
spec: { address: 10.0.0.1, labels: { app: ${name} }, serviceAccount: ${name} }
`),
  ];
}

/** Ten thousand policies compiled, against read. */
export async function bench(): Promise<BenchResult> {
  const policies = Array.from({ length: POLICIES }, (_, index) => policy(index));
  const texts = policies.map((object) => JSON.stringify(object));
  const workloads = Array.from({ length: WORKLOADS }, (_, index) => workload(index)).flat();
  const rounds = Array.from({ length: ROUNDS }, () => {
    // Objects of its own, so that nothing is remembered from the round before.
    const mesh = testMesh([...workloads, ...structuredClone(policies)]).model.snapshot();
    return { compiled: compile(mesh), read: read(texts), parsed: parse(texts) };
  });
  const times = (of: keyof (typeof rounds)[number]) => rounds.map((round) => round[of]);
  const ratios = rounds.map((round) => round.compiled / round.read);
  const [compiled, parsed] = [median(times('compiled')), median(times('parsed'))];
  return {
    name: 'authorization-compile',
    numerator: {
      label: `${POLICIES} policies, compiled for ${WORKLOADS} workloads`,
      value: compiled,
      unit: 'ms',
    },
    denominator: {
      label: `${POLICIES} policies, parsed and checked`,
      value: median(times('read')),
      unit: 'ms',
    },
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: GOAL,
    note: `${(compiled / parsed).toFixed(1)} times what JSON.parse alone takes`,
  };
}

type Mesh = ReturnType<ReturnType<typeof testMesh>['model']['snapshot']>;

function compile(mesh: Mesh): number {
  const startMs = performance.now();
  const authorizer = new Authorizer(mesh.settings);
  let rules = 0;
  for (const namespace of mesh.workloads.namespaces())
    for (const one of mesh.workloads.in(namespace))
      rules += authorizer.authorizationFor(one, mesh).policies.length;
  if (rules !== POLICIES) throw new Error(`${rules} policies`);
  return performance.now() - startMs;
}

function read(texts: readonly string[]): number {
  const startMs = performance.now();
  for (const text of texts)
    if (validateObject(JSON.parse(text)).object === undefined) throw new Error('it is refused');
  return performance.now() - startMs;
}

function parse(texts: readonly string[]): number {
  const startMs = performance.now();
  for (const text of texts) JSON.parse(text);
  return performance.now() - startMs;
}
