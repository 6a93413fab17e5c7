import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, createRegistry, fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { type Any, anyPack } from '@bufbuild/protobuf/wkt';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import type { ExtensionProviderConfig } from '#api/extension-provider.ts';
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { ApiObject } from '#api/object.ts';
import { FilterSchema } from '#gen/envoy-api/envoy/config/listener/v3/listener_components_pb.js';
import { ExtAuthzSchema as HttpExtAuthzSchema } from '#gen/envoy-api/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import {
  type RBAC as HttpRbac,
  RBACSchema as HttpRbacSchema,
} from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { HttpFilterSchema } from '#gen/envoy-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { RBACSchema as NetworkRbacSchema } from '#gen/envoy-api/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import { UriTemplateMatchConfigSchema } from '#gen/envoy-api/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js';
import { extensionProviders } from '#model/extension-provider.ts';
import { Authorizer, type RuleSet, type WorkloadAuthorization } from '#policy/authz/selection.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { buildHttpCheck } from '#xds/generate/authz/external-check.ts';
import {
  buildHttpQuestion,
  buildHttpRbac,
  buildNetworkRbac,
  type RbacAction,
} from '#xds/generate/authz/rbac.ts';
import { authorizedWorkload, policyObjects } from '../../kit/authorization-policy.ts';
import { serviceObjects } from '../../kit/objects.ts';
import { jsonDifference } from '../json-difference.ts';
import type { CaseResult, ConformanceSuite } from '../suite.ts';
import { type OldCase, oldDifference } from './authz-old.ts';

/** A case of `authz/cases.json` of the release HEAD, as far as we read it. */
interface HeadCase {
  readonly release: 'HEAD';
  readonly name: string;
  readonly in: string;
  readonly want: readonly string[];
  readonly forTCP: boolean;
  readonly proxy: {
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly trustDomain?: { readonly trustDomain: string; readonly aliases: readonly string[] };
  /** As the mesh has them: `<host> (namespace <namespace>)`. */
  readonly services?: readonly string[];
  readonly meshConfig?: { readonly extensionProviders?: readonly ExtensionProviderConfig[] };
}

const registry = createRegistry(
  HttpRbacSchema,
  HttpExtAuthzSchema,
  NetworkRbacSchema,
  UriTemplateMatchConfigSchema,
);

/** AuthorizationPolicy → Envoy's filters: array order counts. */
export const suite: ConformanceSuite = {
  name: 'authz',
  run: async (directory) => {
    const text = readFileSync(join(directory, 'authz/cases.json'), 'utf8');
    const cases = JSON.parse(text) as readonly (HeadCase | OldCase)[];
    return cases.map((one) => result(one, join(directory, 'authz', one.release)));
  },
};

function result(one: HeadCase | OldCase, folder: string): CaseResult {
  const name = `${one.release} ${one.name}`;
  try {
    const detail = one.release === 'HEAD' ? difference(one, folder) : oldDifference(one, folder);
    return detail === undefined
      ? { case: name, outcome: 'passed' }
      : { case: name, outcome: 'failed', detail };
  } catch (error) {
    return { case: name, outcome: 'failed', detail: String(error) };
  }
}

/** What is different first between the filters that we make and those expected. */
function difference(one: HeadCase, folder: string): string | undefined {
  const files = one.forTCP ? join(folder, 'tcp') : join(folder, 'http');
  const schema = one.forTCP ? FilterSchema : HttpFilterSchema;
  const canonical = (json: JsonValue) =>
    toJson(schema, fromJson(schema, json, { registry }), { registry });
  const expected = one.want.map((file) =>
    canonical(parseYaml(readFileSync(present(join(files, file)), 'utf8')) as JsonValue),
  );
  const policies = parseAllDocuments(readFileSync(present(join(files, one.in)), 'utf8')).map(
    (document) => document.toJS() as AuthorizationPolicy,
  );
  const authorization = authorize(one, policies);
  const actual = one.forTCP ? tcpFilters(authorization) : httpFilters(authorization);
  return jsonDifference(expected, actual);
}

function authorize(one: HeadCase, policies: readonly AuthorizationPolicy[]): WorkloadAuthorization {
  const authorizer = new Authorizer({
    trustDomain: parseTrustDomain(one.trustDomain?.trustDomain ?? 'cluster.local'),
    trustDomainAliases: one.trustDomain?.aliases ?? [],
    rootNamespace: 'istio-system',
    hardening: 'istio',
    extensionProviders: extensionProviders(one.meshConfig?.extensionProviders ?? []),
  });
  const objects = policyObjects([...policies, ...(one.services ?? []).flatMap(serviceOf)]);
  return authorizer.authorizationFor(authorizedWorkload(one.proxy), objects);
}

/** `<name>.<rest> (namespace <namespace>)`, with the port that providers have. */
function serviceOf(text: string): readonly ApiObject[] {
  const [, name = '', namespace = ''] = /^([^.]+)\..* \(namespace (.*)\)$/.exec(text) ?? [];
  return serviceObjects(namespace, name, [{ name: 'http', port: 9000 }]);
}

function httpFilters(authorization: WorkloadAuthorization): JsonValue[] {
  const custom = authorization.http.custom.flatMap((check, place) => [
    httpRbac(buildHttpQuestion(check, place, samePort)),
    httpFilter(
      'envoy.filters.http.ext_authz',
      anyPack(HttpExtAuthzSchema, buildHttpCheck(check.provider, place, false)),
    ),
  ]);
  const others = filters(authorization.http, (rules, action) =>
    httpRbac(buildHttpRbac(rules, action, samePort)),
  );
  return [...custom, ...others];
}

function httpRbac(config: HttpRbac): JsonValue {
  return httpFilter('envoy.filters.http.rbac', anyPack(HttpRbacSchema, config));
}

function httpFilter(name: string, value: Any): JsonValue {
  const filter = create(HttpFilterSchema, { name, configType: { case: 'typedConfig', value } });
  return toJson(HttpFilterSchema, filter, { registry });
}

function tcpFilters(authorization: WorkloadAuthorization): JsonValue[] {
  return filters(authorization.tcp, (rules, action) => {
    const config = anyPack(NetworkRbacSchema, buildNetworkRbac(rules, action, samePort));
    const filter = create(FilterSchema, {
      name: 'envoy.filters.network.rbac',
      configType: { case: 'typedConfig', value: config },
    });
    return toJson(FilterSchema, filter, { registry });
  });
}

/** Istio has a filter only where there is a policy. */
function filters(
  rules: WorkloadAuthorization['http'],
  build: (rules: RuleSet, action: RbacAction) => JsonValue,
): JsonValue[] {
  const inOrder = [
    [rules.audit, 'LOG'],
    [rules.deny, 'DENY'],
    [rules.allow, 'ALLOW'],
  ] as const;
  return inOrder
    .filter(([{ enforced, dryRun }]) => enforced !== undefined || dryRun !== undefined)
    .map(([set, action]) => build(set, action));
}

function samePort(port: number): readonly number[] {
  return [port];
}

function present(file: string): string {
  if (!existsSync(file)) throw new Error(`there is no ${file}`);
  return file;
}
