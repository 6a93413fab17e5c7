import { ageColumn, fieldColumn } from '#api/columns.ts';
import { checkAuthorizationPolicy } from '#api/kinds/authorization-policy-rules.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { labelSelector, targetReference, targetReferences } from '#api/kinds/workload-target.ts';
import type { ApiObject } from '#api/object.ts';
import { choice, list, object, text, type ValueOf } from '#api/schema.ts';

const words = (description: string) => list(description, text('A value.'));

const source = object(
  'Who calls: every field that is set must hold, and of a list one value is enough.',
  {
    principals: words('Identities of the peer certificate, `<trust domain>/ns/<ns>/sa/<account>`.'),
    notPrincipals: words('Identities of the peer certificate that do not match.'),
    requestPrincipals: words('Identities of the token, `<issuer>/<subject>`.'),
    notRequestPrincipals: words('Identities of the token that do not match.'),
    namespaces: words('Namespaces of the peer, from its certificate.'),
    notNamespaces: words('Namespaces of the peer that do not match.'),
    serviceAccounts: list(
      'Service accounts of the peer, `<namespace>/<name>`, or `<name>` in the own namespace.',
      text('A service account.', { maxLength: 320 }),
      { maxItems: 16 },
    ),
    notServiceAccounts: list(
      'Service accounts of the peer that do not match.',
      text('A service account.', { maxLength: 320 }),
      { maxItems: 16 },
    ),
    trustDomains: words('Trust domains of the peer, from its certificate.'),
    notTrustDomains: words('Trust domains of the peer that do not match.'),
    ipBlocks: words('Addresses or CIDR blocks of the connection, `1.2.3.4` or `1.2.3.0/24`.'),
    notIpBlocks: words('Addresses or CIDR blocks of the connection that do not match.'),
    remoteIpBlocks: words('Addresses or CIDR blocks of the original client (X-Forwarded-For).'),
    notRemoteIpBlocks: words('Addresses or CIDR blocks of the original client that do not match.'),
  },
);

const operation = object(
  'What is asked for: every field that is set must hold, and of a list one value is enough.',
  {
    hosts: words('Host header; letter case does not count.'),
    notHosts: words('Hosts that do not match.'),
    ports: words('Ports of the workload, as text.'),
    notPorts: words('Ports of the workload that do not match.'),
    methods: words('HTTP methods; for gRPC always POST.'),
    notMethods: words('HTTP methods that do not match.'),
    paths: words('Paths; for gRPC `/<package.Service>/<Method>`.'),
    notPaths: words('Paths that do not match.'),
  },
);

const condition = object(
  'A further condition on an attribute.',
  {
    key: text('The attribute: `source.ip`, `request.headers[x-name]`, `destination.port` …'),
    values: words('Values of which one must match.'),
    notValues: words('Values of which none may match.'),
  },
  { required: ['key'] },
);

const rule = object(
  'Matches a request when one of `from`, one of `to` and all of `when` match; what is left out matches.',
  {
    from: list('Who may be calling.', object('One kind of caller.', { source }), {
      maxItems: 512,
    }),
    to: list('What may be asked for.', object('One kind of operation.', { operation })),
    when: list('Further conditions; all must hold.', condition),
  },
);

const spec = object('Decides which requests reach a workload.', {
  selector: labelSelector,
  targetRef: targetReference,
  targetRefs: targetReferences,
  action: choice('What a matching rule means; ALLOW when left out.', [
    'ALLOW',
    'DENY',
    'AUDIT',
    'CUSTOM',
  ]),
  provider: object('Who decides, for CUSTOM.', {
    name: text('Name of an extension provider of the mesh configuration.'),
  }),
  rules: list(
    'Rules of which one must match. None never match: ALLOW without rules denies everything.',
    rule,
    { maxItems: 512 },
  ),
});

/** `rules[].from[].source`. */
export interface AuthorizationSource extends ValueOf<typeof source> {}
/** `rules[].to[].operation`. */
export interface AuthorizationOperation extends ValueOf<typeof operation> {}
/** `rules[].when[]`. */
export interface AuthorizationCondition extends ValueOf<typeof condition> {}
/** `rules[]`: `{}` matches everything. */
export interface AuthorizationRule extends ValueOf<typeof rule> {}
/** `{}` is ALLOW without rules, which denies everything. */
export interface AuthorizationPolicySpec extends ValueOf<typeof spec> {}

/**
 * Istio's AuthorizationPolicy (security.istio.io v1, v1beta1). A missing spec means the same as an
 * empty one.
 */
export interface AuthorizationPolicy extends ApiObject {
  readonly spec?: AuthorizationPolicySpec;
  readonly status?: IstioStatus;
}

/** AuthorizationPolicy. */
export const authorizationPolicy = defineIstioKind<AuthorizationPolicy>({
  group: 'security.istio.io',
  versions: ['v1', 'v1beta1'],
  kind: 'AuthorizationPolicy',
  plural: 'authorizationpolicies',
  shortNames: ['ap'],
  description: 'Decides which requests reach a workload.',
  spec,
  columns: [fieldColumn('Action', '.spec.action', 'What a matching rule means.'), ageColumn],
  dryRun: true,
  check: checkAuthorizationPolicy,
});
