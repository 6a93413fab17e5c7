import { fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { parse as parseYaml } from 'yaml';
import { nameInBrackets, namesInBrackets } from '#api/bracketed-names.ts';
import type { Diagnostic } from '#api/diagnostic.ts';
import {
  type Permission,
  PermissionSchema,
  type Principal,
  PrincipalSchema,
} from '#gen/envoy-api/envoy/config/rbac/v3/rbac_pb.js';
import { type Condition, isOperationCondition, needsHttp } from '#policy/authz/condition.ts';
import { parseConditionKey } from '#policy/authz/condition-key.ts';
import { conditionHolds } from '#policy/authz/condition-test.ts';
import { readCondition, type Subject } from '#policy/authz/read-condition.ts';
import { factsOf } from '#policy/authz/request.ts';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { buildPermission } from '#xds/generate/authz/permission.ts';
import { buildPrincipal } from '#xds/generate/authz/principal.ts';
import { jsonDifference } from '../../json-difference.ts';
import type { PrimitiveCheck } from './row.ts';

/** What a generator of Istio is about; those of keys with brackets are found by the key. */
const SUBJECTS: Readonly<Record<string, Subject>> = {
  destIPGenerator: { on: 'destinationIp' },
  destPortGenerator: { on: 'port' },
  connSNIGenerator: { on: 'serverName' },
  srcIPGenerator: { on: 'sourceIp' },
  remoteIPGenerator: { on: 'remoteIp' },
  srcNamespaceGenerator: { on: 'namespace' },
  srcServiceAccountGenerator: { on: 'serviceAccount' },
  srcPrincipalGenerator: { on: 'principal' },
  srcTrustDomainGenerator: { on: 'trustDomain' },
  requestPrincipalGenerator: { on: 'requestPrincipal' },
  requestAudiencesGenerator: { on: 'claim', path: ['aud'] },
  requestPresenterGenerator: { on: 'claim', path: ['azp'] },
  hostGenerator: { on: 'host' },
  pathGenerator: { on: 'path' },
  methodGenerator: { on: 'method' },
};

/** A condition with one value as it stands in an ALLOW policy; undefined when it is refused. */
function conditionOf(subject: Subject | undefined, value: string): Condition | undefined {
  if (subject === undefined) return undefined;
  const diagnostics: Diagnostic[] = [];
  const context = {
    trustDomain: parseTrustDomain('cluster.local'),
    rootNamespace: 'istio-system',
    hardening: 'istio',
  } as const;
  const input = { values: [value], notValues: [], field: 'values', notField: 'notValues' };
  const reading = { context, namespace: 'my-ns', doubt: 'narrow', diagnostics } as const;
  const condition = readCondition(subject, input, reading);
  return typeof condition === 'object' ? condition : undefined;
}

/** What Istio's own policies write before the filters' names; its test leaves a part out. */
const METADATA_KEY = /^experimental\.(?!envoy\.filters\.)/;

interface GeneratorFields {
  readonly key?: string;
  readonly value?: string;
  readonly forTCP?: boolean;
  readonly want?: { readonly $permission_yaml?: string; readonly $principal_yaml?: string };
}

const generator: PrimitiveCheck = ({ name, fields }) => {
  const { key = '', value = '', forTCP = false, want } = fields as GeneratorFields;
  const subject =
    SUBJECTS[name.split('-', 1)[0] ?? ''] ??
    parseConditionKey(key.replace(METADATA_KEY, 'experimental.envoy.filters.'));
  const condition = conditionOf(subject, value);
  const isRefused = condition === undefined || (forTCP && needsHttp(condition));
  if (!want) return isRefused ? undefined : 'taken, want: refused';
  if (isRefused) return 'refused';
  const { $permission_yaml: permission, $principal_yaml: principal } = want;
  if (permission === undefined) return principalDifference(principal ?? '', condition);
  const filter = METADATA_KEY.test(key) ? /filter: /g : /$^/g;
  const expected = parseYaml(permission.replace(filter, 'filter: envoy.filters.')) as JsonValue;
  if (!isOperationCondition(condition)) return 'a condition on who calls';
  const found = bare(buildPermission([condition], (port) => [port]));
  return jsonDifference(
    toJson(PermissionSchema, fromJson(PermissionSchema, expected)),
    toJson(PermissionSchema, found),
  );
};

function principalDifference(yaml: string, condition: Condition): string | undefined {
  if (isOperationCondition(condition)) return 'a condition on what is asked for';
  const expected = fromJson(PrincipalSchema, parseYaml(yaml) as JsonValue);
  const found = bareIds(buildPrincipal([condition], 'peer'));
  return jsonDifference(toJson(PrincipalSchema, expected), toJson(PrincipalSchema, found));
}

/** A permission without the lists of one that a whole rule is written with. */
function bare(permission: Permission): Permission {
  const { rule } = permission;
  if (rule.case !== 'andRules' && rule.case !== 'orRules') return permission;
  const [only, ...more] = rule.value.rules;
  return only !== undefined && more.length === 0 ? bare(only) : permission;
}

/** The same of who calls. */
function bareIds(principal: Principal): Principal {
  const { identifier } = principal;
  if (identifier.case !== 'andIds' && identifier.case !== 'orIds') return principal;
  const [only, ...more] = identifier.value.ids;
  return only !== undefined && more.length === 0 ? bareIds(only) : principal;
}

const requestPrincipal: PrimitiveCheck = ({ fields }) => {
  const condition = conditionOf({ on: 'requestPrincipal' }, String(fields.in ?? ''));
  if (condition === undefined) return 'refused';
  return principalDifference(String(fields.want), condition);
};

/** Whether a peer of this identity meets a condition. */
function isMetBy(condition: Condition | undefined, identity: string): boolean {
  if (condition === undefined) return false;
  const source = { identity: parseSpiffeId(identity), address: '127.0.0.1' };
  const facts = factsOf({ source, destination: { port: 80 } }, 'BASE', 'istio');
  return facts !== undefined && conditionHolds(condition, facts);
}

const serviceAccount: PrimitiveCheck = ({ fields }) => {
  const {
    Input = '',
    Identity = '',
    Match = false,
  } = fields as {
    readonly Input?: string;
    readonly Identity?: string;
    readonly Match?: boolean;
  };
  const condition = conditionOf({ on: 'serviceAccount' }, Input);
  return jsonDifference(Match, isMetBy(condition, Identity));
};

const namespace: PrimitiveCheck = ({ fields }) => {
  const {
    v = '',
    match,
    noMatch,
  } = fields as {
    readonly v?: string;
    readonly match?: string;
    readonly noMatch?: string;
  };
  const condition = conditionOf({ on: 'namespace' }, v);
  if (match && !isMetBy(condition, match)) return `${match} is not taken`;
  if (noMatch && isMetBy(condition, noMatch)) return `${noMatch} is taken`;
  return undefined;
};

const port: PrimitiveCheck = ({ fields }) => {
  const { V = '', Err, Want = 0 } = fields as { V?: string; Err?: string; Want?: number };
  const condition = conditionOf({ on: 'port' }, V);
  if (Err) return condition === undefined ? undefined : `taken, want: ${Err}`;
  return jsonDifference([Want], condition?.values);
};

interface BracketFields {
  readonly s?: string;
  readonly want?: unknown;
  readonly err?: boolean;
}

const inBrackets: PrimitiveCheck = ({ fields }) => {
  const { s = '', want, err = false } = fields as BracketFields;
  return jsonDifference(err ? undefined : want, nameInBrackets(s));
};

const inNestedBrackets: PrimitiveCheck = ({ fields }) => {
  const { s = '', want, err = false } = fields as BracketFields;
  return jsonDifference(err ? undefined : want, namesInBrackets(s));
};

/** Values of policies → matchers. */
export const MATCHER_CHECKS: Readonly<Record<string, PrimitiveCheck>> = {
  TestGenerator: generator,
  TestRequestPrincipal: requestPrincipal,
  TestServiceAccount: serviceAccount,
  TestNamespaceMatcherRegex_Match: namespace,
  TestConvertToPort: port,
  TestExtractNameInBrackets: inBrackets,
  TestExtractNameInNestedBrackets: inNestedBrackets,
};
