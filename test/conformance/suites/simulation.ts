import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { kindOf } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import { testMesh, testProxy } from '../../kit/mesh.ts';
import { objectsOf } from '../../kit/objects.ts';
import { snapshotJson } from '../../kit/xds-json.ts';
import { completeCall, type WrittenCall } from '../simulation/call.ts';
import { type Resources, type WalkResult, walk } from '../simulation/walk.ts';
import type { CaseResult, ConformanceSuite } from '../suite.ts';

/** A configuration of `simulation.json` with the calls that are tried on it. */
interface Simulation {
  readonly test: string;
  readonly name: string;
  /** Objects in YAML; without namespace they are in `default`. */
  readonly config?: string;
  readonly proxy?: {
    readonly type?: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly calls: readonly {
    readonly name: string;
    readonly call: WrittenCall;
    /** Fields that are not there may be anything, unless `strictMatch` says otherwise. */
    readonly result: WalkResult & { readonly strictMatch?: boolean };
  }[];
}

const NAMESPACE = 'default';
/** Of the proxies in Istio's simulation. */
const PROXY_ADDRESS = '1.1.1.1';

/** The resources of a proxy, and calls that are walked through them. */
export const suite: ConformanceSuite = {
  name: 'simulation',
  run: async (directory) => {
    const text = readFileSync(join(directory, 'simulation.json'), 'utf8');
    return (JSON.parse(text) as Simulation[]).flatMap(resultsOf);
  },
};

function resultsOf(simulation: Simulation): readonly CaseResult[] {
  let resources: Resources | string;
  try {
    resources = resourcesOf(simulation);
  } catch (error) {
    resources = String(error);
  }
  return simulation.calls.map(({ name, call, result }) => {
    const one = `${simulation.test} ${simulation.name}: ${name}`;
    const detail =
      typeof resources === 'string'
        ? resources
        : difference(result, walk(resources, completeCall(call)));
    if (detail === undefined) return { case: one, outcome: 'passed' };
    return { case: one, outcome: 'failed', detail };
  });
}

/** The resources, or why there are none. */
function resourcesOf({ config = '', proxy = {} }: Simulation): Resources | string {
  if (proxy.type === 'router') return 'gateways are not built';
  const objects = objectsOf(config).filter(isKnown).map(inNamespace);
  const mesh = testMesh(objects, { hardening: 'istio' });
  const node = testProxy({
    labels: proxy.labels ?? {},
    namespace: proxy.namespace ?? NAMESPACE,
    addresses: [PROXY_ADDRESS],
  });
  const snapshot = mesh.generator.snapshotFor(node, mesh.model.snapshot());
  return snapshotJson(snapshot) as unknown as Resources;
}

/** Objects of kinds that mean nothing to us are left out; what then differs fails. */
function isKnown(object: ApiObject | null): object is ApiObject {
  return object !== null && kindOf(object.apiVersion, object.kind) !== undefined;
}

function inNamespace(object: ApiObject): ApiObject {
  const { namespace = NAMESPACE } = object.metadata;
  return { ...object, metadata: { ...object.metadata, namespace } };
}

const FIELDS = [
  'error',
  'listenerMatched',
  'filterChainMatched',
  'routeConfigMatched',
  'virtualHostMatched',
  'routeMatched',
  'clusterMatched',
] as const satisfies readonly (keyof WalkResult)[];

/** The first field that is not as expected. */
function difference(
  expected: Simulation['calls'][number]['result'],
  found: WalkResult,
): string | undefined {
  for (const field of FIELDS) {
    const wanted = expected[field] ?? '';
    const is = found[field] ?? '';
    // An error that nobody expects is one in any case.
    const counts = wanted !== '' || field === 'error' || expected.strictMatch === true;
    if (counts && wanted !== is) return `${field} is "${is}" instead of "${wanted}"`;
  }
  return undefined;
}
