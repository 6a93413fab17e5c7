import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { AuthzRequest } from '#policy/authz/request.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';

/** Rules in one policy. */
const RULES_PER_POLICY = 10;
const HOST = 'orders.shop';
const METHODS = ['GET', 'POST'] as const;

function account(index: number): string {
  return `cluster.local/ns/team-${index % 50}/sa/app-${index}`;
}

/** ALLOW policies of so many rules: each has a caller, a method and paths of its own. */
export function rulePolicies(count: number): readonly AuthorizationPolicy[] {
  const rules = Array.from({ length: count }, (_, index) => ({
    from: [{ source: { principals: [account(index)] } }],
    to: [
      {
        operation: {
          methods: [METHODS[index % 2] ?? 'GET'],
          paths: [`/customers/${index}`, `/orders/of/${index}/*`],
        },
      },
    ],
  }));
  return Array.from({ length: Math.ceil(count / RULES_PER_POLICY) }, (_, at) => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: `policy-${at}`, namespace: 'foo' },
    spec: { rules: rules.slice(at * RULES_PER_POLICY, (at + 1) * RULES_PER_POLICY) },
  }));
}

/** A request that is asked about, and whether a rule allows it. */
export interface RuleRequest {
  /** Without `spiffe://`. */
  readonly caller: string;
  readonly path: string;
  readonly method: string;
  readonly isAllowed: boolean;
  readonly request: AuthzRequest;
}

/** Requests to so many rules, spread over them: half of them are allowed. */
export function ruleRequests(rules: number, count: number): readonly RuleRequest[] {
  return Array.from({ length: count }, (_, at) => {
    const index = Math.floor((at / count) * rules);
    const isAllowed = at % 2 === 0;
    const path = isAllowed ? `/orders/of/${index}/today` : `/orders/of/${index + 1}/today`;
    const [caller, method] = [account(index), METHODS[index % 2] ?? 'GET'];
    const identity = parseSpiffeId(`spiffe://${caller}`);
    const source = { identity, address: '10.0.0.1' };
    const http = { method, target: path, host: HOST };
    const request = { source, destination: { port: 8080 }, http };
    return { caller, path, method, isAllowed, request };
  });
}
