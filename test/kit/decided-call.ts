import assert from 'node:assert/strict';
import type { MeshSettings } from '#model/mesh-settings.ts';
import { Decider } from '#policy/decide/decider.ts';
import type { Decision } from '#policy/decide/decision.ts';
import { findServicePort, findTargets } from '#policy/decide/find-targets.ts';
import { parseTrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';
import { testMesh } from './mesh.ts';
import { objectsOf, serviceObjects } from './objects.ts';

/** When calls of tests are made, wall-clock milliseconds. */
export const NOW_MS = Date.parse('2026-11-22T12:00:00Z');
const SERVER = [
  ...serviceObjects('shop', 'web', [
    { name: 'http', port: 80 },
    { name: 'tcp', port: 90 },
  ]),
];
// The group says which ports there are.
const GROUP_PORTS = objectsOf(`
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: web, namespace: shop}
spec:
  metadata: {labels: {app: web}}
  template: {serviceAccount: web, ports: {http: 8080, tcp: 9090}}
`);

/** A call of `clients/client` to `shop/web`, but for what is said otherwise. */
export interface Asked {
  readonly yaml?: string;
  readonly from?: 'outside' | 'client' | 'revoked' | 'foreign';
  readonly port?: number;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly settings?: Partial<MeshSettings>;
}

function identityOf(serviceAccount: string) {
  const isForeign = serviceAccount === 'foreign';
  const trustDomain = parseTrustDomain(isForeign ? 'other.example' : 'cluster.local');
  return workloadSpiffeId({ trustDomain, namespace: 'clients', serviceAccount });
}

/** What becomes of a call in a mesh of `shop/web` (HTTP on 80, TCP on 90) and these objects. */
export function decide(asked: Asked): Decision {
  const { yaml = '', from = 'client', port = 80, claims, settings } = asked;
  const objects = [...SERVER, ...GROUP_PORTS, ...objectsOf(yaml).filter(Boolean)];
  const mesh = testMesh(objects, settings).model.snapshot();
  const found = findServicePort({ name: 'shop/web', port, namespace: 'default' }, mesh);
  assert.ok(!('problem' in found), JSON.stringify(found));
  const targets = findTargets(found.service, found.port, mesh);
  assert.ok(!('problem' in targets), JSON.stringify(targets));
  const [to] = targets;
  assert.ok(to);
  const identity = from === 'outside' ? undefined : identityOf(from);
  const namespace = identity ? 'clients' : '';
  const { method = 'GET', path = '/', headers } = asked;
  const request = { method, target: path, host: 'web.shop', ...(headers && { headers }) };
  const call = {
    from: { identity, namespace, labels: {}, address: '10.0.0.9' },
    to,
    http: port === 80 ? request : undefined,
    token: claims && { claims },
  };
  return new Decider(mesh).decide(call, NOW_MS);
}

/** An AuthorizationPolicy of the namespace `shop`. */
export function policy(name: string, spec: string): string {
  const head = 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n';
  return `---\n${head}metadata: {name: ${name}, namespace: shop}\nspec: ${spec}\n`;
}

/** A name, what is asked, the decision with its layer, and the object and field that decide. */
export type DecidedCase = readonly [string, Asked, string, string?, string?];

/** Checks that a call of a case is decided as it says. */
export function checkDecision([, asked, expected, object, field]: DecidedCase): void {
  const decision = decide(asked);
  const { decidedBy } = decision;
  assert.equal(`${decision.decision} ${decidedBy.layer}`, expected, decidedBy.reason);
  assert.equal(decidedBy.object?.name, object);
  assert.equal(decidedBy.field, field);
}
