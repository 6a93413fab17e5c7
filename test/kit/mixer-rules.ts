import assert from 'node:assert/strict';
import { evaluate } from '#policy/authz/evaluate.ts';
import type { HttpFacts } from '#policy/authz/request.ts';
import { Authorizer } from '#policy/authz/selection.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { authorizedWorkload, authzContext } from './authorization-policy.ts';
import { testMesh } from './mesh.ts';
import { objectsOf } from './objects.ts';

// Rules of Mixer for a workload of namespace `foo` with two services: `shop` at its port 8080 and
// `admin` at 9090.

/** The services of the workload. */
export const SERVICES = `
apiVersion: v1
kind: Service
metadata: { name: shop, namespace: foo }
spec: { selector: { app: shop }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: admin, namespace: foo }
spec: { selector: { app: shop }, ports: [{ name: http, port: 80, targetPort: 9090 }] }
`;
/** A denier `deny` and an instance `nothing`. */
export const HANDLERS = `
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: { name: deny, namespace: foo }
spec: { compiledAdapter: denier, params: { status: { code: 7 } } }
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: { name: nothing, namespace: foo }
spec: { compiledTemplate: checknothing }
`;
/** A rule that asks the denier, or another handler about another instance. */
export const rule = (match: string, handler = 'deny', instance = 'nothing') => `
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: { name: r, namespace: foo }
spec:
  match: ${JSON.stringify(match)}
  actions: [{ handler: ${handler}, instances: [${instance}] }]
`;
/** A rule that asks a listchecker about a value. */
export const listOf = (params: object, value: string) => `
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: { name: list, namespace: foo }
spec: { compiledAdapter: listchecker, params: ${JSON.stringify(params)} }
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: { name: entry, namespace: foo }
spec: { compiledTemplate: listentry, params: { value: ${JSON.stringify(value)} } }
---${rule('', 'list', 'entry')}`;

/** A request, or a connection, to the workload. */
export interface Asked extends Partial<HttpFacts> {
  /** `<namespace>/<service account>`. */
  readonly caller?: string;
  readonly address?: string;
  readonly port?: number;
  readonly serverName?: string;
  readonly tcp?: true;
  readonly principals?: 'origin';
}

/** What is enforced on the workload. */
export function authorization(...yaml: readonly string[]) {
  return authorizationFor({ app: 'shop', version: 'v1' }, ...yaml);
}

/** What is enforced on a workload with these labels. */
export function authorizationFor(
  labels: Readonly<Record<string, string>>,
  ...yaml: readonly string[]
) {
  const mesh = testMesh(objectsOf([SERVICES, HANDLERS, ...yaml].join('---'))).model.snapshot();
  const workload = authorizedWorkload({ labels });
  return new Authorizer(authzContext('strict')).authorizationFor(workload, mesh);
}

function decide(asked: Asked, ...yaml: readonly string[]) {
  const { caller, address = '10.1.2.3', port = 8080, tcp, serverName, principals, ...http } = asked;
  const [namespace, account] = caller?.split('/') ?? [];
  const identity = `spiffe://cluster.local/ns/${namespace}/sa/${account}`;
  const facts = { method: 'GET', target: '/', host: 'shop', ...http };
  return evaluate(
    authorization(...yaml),
    {
      source: { address, ...(caller && { identity: parseSpiffeId(identity) }) },
      destination: { port, address: '10.0.0.1' },
      ...(serverName ? { serverName } : {}),
      ...(principals ? { principals } : {}),
      ...(tcp ? {} : { http: facts }),
    },
    'strict',
  );
}

/** Asserts that a request is let in. */
export const allows = (asked: Asked, ...yaml: readonly string[]) =>
  assert.equal(decide(asked, ...yaml).decision, 'allow', JSON.stringify(asked));
/** Asserts that it is not. */
export const denies = (asked: Asked, ...yaml: readonly string[]) =>
  assert.equal(decide(asked, ...yaml).decision, 'deny', JSON.stringify(asked));
