import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import type { ApiObject } from '#api/object.ts';
import { evaluate } from '#policy/authz/evaluate.ts';
import { Authorizer } from '#policy/authz/selection.ts';
import { authorizedWorkload } from '../../kit/authorization-policy.ts';
import { testMesh } from '../../kit/mesh.ts';
import { objectsOf } from '../../kit/objects.ts';
import { asOurs, asV2, requestsFor } from '../rbac-requests.ts';
import { type RbacV2, rbacAllows } from '../rbac-v2.ts';

/** A case of the release 1.5.10: messages of Envoy's version 2 API. */
export interface OldCase {
  readonly release: '1.5.10';
  readonly name: string;
  readonly in: string;
  readonly want: { readonly deny: string | null; readonly allow: string | null };
  readonly forTCP: boolean;
  /** The service that leads to the workload. */
  readonly service: string;
  readonly proxy: {
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
}

/** Requests made for each policy of a message, each then changed in every attribute. */
const ROUNDS = 60;

/** The first request about which Istio's filters and our evaluator disagree. */
export function oldDifference(one: OldCase, folder: string): string | undefined {
  const files = join(folder, one.forTCP ? 'tcp' : 'http');
  const read = (file: string | null): RbacV2 | undefined =>
    file === null ? undefined : rulesOf(parseYaml(readFileSync(join(files, file), 'utf8')));
  const [deny, allow] = [read(one.want.deny), read(one.want.allow)];
  const objects = objectsOf(readFileSync(join(files, one.in), 'utf8')).filter(Boolean);
  const mesh = testMesh([serviceOf(one), ...objects]).model.snapshot();
  const { trustDomain, rootNamespace } = mesh.settings;
  const authorizer = new Authorizer({ trustDomain, rootNamespace, hardening: 'istio' });
  const authorization = authorizer.authorizationFor(authorizedWorkload(one.proxy), mesh);
  for (const message of [deny, allow]) {
    for (const attributes of message ? requestsFor(message, ROUNDS) : []) {
      const asked = asV2(attributes);
      const expected =
        (deny === undefined || rbacAllows(deny, asked)) &&
        (allow === undefined || rbacAllows(allow, asked));
      const { decision } = evaluate(authorization, asOurs(attributes), 'istio');
      if ((decision === 'allow') !== expected)
        return `${expected ? 'allow' : 'deny'} expected: ${JSON.stringify(attributes)}`;
    }
  }
  return undefined;
}

function rulesOf(message: { readonly rules?: RbacV2 }): RbacV2 {
  return message.rules ?? { policies: {} };
}

function serviceOf({ service, proxy }: OldCase): ApiObject {
  const [name = '', namespace = ''] = service.split('.');
  const { labels: selector } = proxy;
  const spec = { selector, ports: [{ name: 'http', port: 80 }] };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec } as ApiObject;
}
