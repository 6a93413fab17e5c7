// What it costs to compile a thousand authentication policies of both APIs for a thousand
// workloads, against reading the same objects: parsing their JSON and checking them, as the API
// server does.
import { kindOf } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import { validateObject } from '#api/validate.ts';
import { MeshModel } from '#model/mesh-model.ts';
import { meshSettings } from '#model/mesh-settings.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { PeerAuthenticator } from '#policy/authn/inbound-mtls.ts';
import { TokenPolicies } from '#policy/authn/jwt.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { objectsOf } from '../../test/kit/objects.ts';
import { TokenIssuer } from '../../test/kit/token-issuer.ts';
import type { BenchResult } from '../bench-result.ts';
import { median } from '../median.ts';

const NAMESPACES = 10;
/** In each namespace; as many policies. */
const WORKLOADS = 100;
const ROUNDS = 9;
/** Compiling stays of the order of reading. */
const GOAL = 1.5;

const settings = meshSettings(parseTrustDomain('cluster.local'));
const { keySet } = new TokenIssuer('https://issuer.example');

/** A workload with its service. */
function workload(namespace: string, name: string): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { selector: { app: ${name} }, ports: [{ name: http, port: 80 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ${name}, namespace: ${namespace} }
spec: { address: 10.0.0.1, labels: { app: ${name} }, serviceAccount: ${name} }
`;
}

/** One of the four policies that take turns. */
function policy(namespace: string, name: string, turn: number): string {
  const selector = `selector: { matchLabels: { app: ${name} } }`;
  const metadata = `metadata: { name: ${name}, namespace: ${namespace} }`;
  const rules = ['a', 'b'].map((issuer) => `{ issuer: "https://${issuer}", jwks: '${keySet}' }`);
  const texts = [
    `apiVersion: security.istio.io/v1
kind: PeerAuthentication
${metadata}
spec: { ${selector}, mtls: { mode: STRICT }, portLevelMtls: { 80: { mode: PERMISSIVE } } }`,
    `apiVersion: security.istio.io/v1
kind: RequestAuthentication
${metadata}
spec: { ${selector}, jwtRules: [${rules}] }`,
    `apiVersion: authentication.istio.io/v1alpha1
kind: Policy
${metadata}
spec: { targets: [{ name: ${name} }], peers: [{ mtls: {} }] }`,
    `apiVersion: authentication.istio.io/v1alpha1
kind: Policy
${metadata}
spec: { targets: [{ name: ${name}, ports: [{ name: http }] }], origins: [{ jwt: ${rules[0]} }] }`,
  ];
  return texts[turn % texts.length] ?? '';
}

function everywhere(make: (namespace: string, name: string, turn: number) => string): ApiObject[] {
  return Array.from({ length: NAMESPACES }, (_, at) =>
    Array.from({ length: WORKLOADS }, (_, turn) => make(`ns-${at}`, `app-${turn}`, turn)),
  ).flatMap((texts) => objectsOf(texts.join('\n---\n')));
}

function read(texts: readonly string[]): number {
  const startMs = performance.now();
  for (const text of texts) {
    if (validateObject(JSON.parse(text)).object === undefined) throw new Error('it is refused');
  }
  return performance.now() - startMs;
}

/** A mesh of objects of its own, so that nothing is remembered from the round before. */
function meshOf(objects: readonly ApiObject[]): MeshSnapshot {
  const model = new MeshModel(settings);
  model.apply(
    structuredClone(objects).map((object) => {
      const kind = kindOf(object.apiVersion, object.kind)?.id ?? '';
      return { type: 'MODIFIED', kind, object } as const;
    }),
  );
  return model.snapshot();
}

function compile(mesh: MeshSnapshot): number {
  const startMs = performance.now();
  const [peers, tokens] = [new PeerAuthenticator(settings), new TokenPolicies(settings)];
  for (const namespace of mesh.workloads.namespaces()) {
    for (const one of mesh.workloads.in(namespace)) {
      peers.inboundMtls(one, mesh);
      tokens.tokensFor(one, mesh);
    }
  }
  return performance.now() - startMs;
}

/** Compiling against reading, each round with both. */
export async function bench(): Promise<BenchResult> {
  const [workloads, policies] = [everywhere(workload), everywhere(policy)];
  const texts = policies.map((object) => JSON.stringify(object));
  const rounds = Array.from({ length: ROUNDS }, () => ({
    compiled: compile(meshOf([...workloads, ...policies])),
    read: read(texts),
  }));
  const ratios = rounds.map((round) => round.compiled / round.read);
  const side = (label: string, values: readonly number[]) => ({
    label: `${policies.length} policies, ${label}`,
    value: median(values),
    unit: 'ms',
  });
  return {
    name: 'authentication-compile',
    numerator: side(
      `compiled for ${NAMESPACES * WORKLOADS} workloads`,
      rounds.map(({ compiled }) => compiled),
    ),
    denominator: side(
      'parsed and checked',
      rounds.map((round) => round.read),
    ),
    ratio: median(ratios),
    spread: { min: Math.min(...ratios), max: Math.max(...ratios) },
    goal: GOAL,
  };
}
