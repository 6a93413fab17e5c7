import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { VirtualService } from '#api/kinds/virtual-service.ts';
import { kindOf } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import { secretObject } from '../../kit/https-app.ts';
import { testMesh, testProxy } from '../../kit/mesh.ts';
import { objectsOf } from '../../kit/objects.ts';
import { testAuthority } from '../../kit/test-authority.ts';
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
/** Istio's simulation of gateways has none. */
const DOMAIN = '.svc.cluster.local';
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
  const objects = objectsOf(config).filter(isKnown).map(inNamespace);
  const isGateway = proxy.type === 'router';
  const mesh = testMesh(isGateway ? [...objects, ...reachedBy(objects, proxy)] : objects, {
    hardening: 'istio',
  });
  const node = testProxy({
    labels: proxy.labels ?? {},
    namespace: proxy.namespace ?? NAMESPACE,
    addresses: [PROXY_ADDRESS],
    ...(isGateway && { gateway: { address: '0.0.0.0' } }),
  });
  const snapshot = mesh.generator.snapshotFor(node, mesh.model.snapshot());
  const text = JSON.stringify(snapshotJson(snapshot));
  return JSON.parse(isGateway ? text.replaceAll(DOMAIN, '') : text) as Resources;
}

/**
 * What gateways need and the data leaves out, since Istio does not look whether it is there: the
 * services of routes, and the entry and the Secrets of the gateway. Its names have no domain.
 */
function reachedBy(
  objects: readonly ApiObject[],
  { namespace = NAMESPACE, labels = {} }: NonNullable<Simulation['proxy']>,
): readonly ApiObject[] {
  const routes = objects.flatMap((object) =>
    object.kind === 'VirtualService' ? ((object as VirtualService).spec?.http ?? []) : [],
  );
  const destinations = routes.flatMap(({ route = [] }) => route.map((one) => one.destination));
  const hosts = new Map(destinations.map(({ host, port }) => [host, port?.number ?? 443]));
  const authority = testAuthority();
  const { certificate: cert, privateKey: key } = authority.issue({ dnsNames: ['example.com'] });
  const entry = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name: 'app-1', namespace },
    spec: { address: PROXY_ADDRESS, labels, serviceAccount: 'app' },
  };
  return [
    entry,
    secretObject(namespace, 'test', { cert, key }),
    ...[...hosts].map(([name, port]) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: NAMESPACE },
      spec: { ports: [{ name: 'http', port }] },
    })),
  ];
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
    // Where an object gives a route no name, ours is still told apart from others.
    const isStrict = expected.strictMatch === true && field !== 'routeMatched';
    const counts = wanted !== '' || field === 'error' || isStrict;
    if (counts && wanted !== is) return `${field} is "${is}" instead of "${wanted}"`;
  }
  return undefined;
}
