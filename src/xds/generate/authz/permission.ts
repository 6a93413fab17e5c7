import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { unreachable } from '#base/assert.ts';
import { TypedExtensionConfigSchema } from '#gen/envoy-api/envoy/config/core/v3/extension_pb.js';
import {
  MetadataSource,
  type Permission,
  Permission_SetSchema,
  PermissionSchema,
  SourcedMetadataSchema,
} from '#gen/envoy-api/envoy/config/rbac/v3/rbac_pb.js';
import { UriTemplateMatchConfigSchema } from '#gen/envoy-api/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js';
import { PathMatcherSchema } from '#gen/envoy-api/envoy/type/matcher/v3/path_pb.js';
import type { StringMatcher } from '#gen/envoy-api/envoy/type/matcher/v3/string_pb.js';
import type { ValueMatcher } from '#gen/envoy-api/envoy/type/matcher/v3/value_pb.js';
import type { Clause } from '#policy/authz/compiled-policy.ts';
import type {
  MetadataMatch,
  OperationCondition,
  PathMatch,
  Tests,
} from '#policy/authz/condition.ts';
import type { PathTemplate } from '#policy/authz/path-template.ts';
import { hostPattern, templatePattern } from '#policy/authz/pattern.ts';
import type { TextMatch } from '#policy/authz/text-match.ts';
import { computedKey, computedMatches, EXT_AUTHZ } from '#xds/generate/authz/agent-question.ts';
import { folded } from '#xds/generate/authz/folded-texts.ts';
import {
  anyValue,
  cidrRange,
  headerMatcher,
  headerWith,
  listValue,
  metadataMatcher,
  patternMatcher,
  presentValue,
  textMatcher,
  textValue,
} from '#xds/generate/authz/matchers.ts';

/** The ports on which a proxy takes calls for a port of its workload. */
export type ListenPorts = (port: number) => readonly number[];

/** Requests that hold all conditions of a clause. */
export function buildPermission(
  clause: Clause<OperationCondition>,
  listenPorts: ListenPorts,
): Permission {
  const rules = clause.flatMap((condition) => buildCondition(condition, listenPorts));
  return and(rules.length === 0 ? [ANYTHING] : rules);
}

/** Nothing, for a rule that must be seen and never match. */
export function buildNothing(): Permission {
  return not(ANYTHING);
}

const ANYTHING = permission({ case: 'any', value: true });

function buildCondition(condition: OperationCondition, listenPorts: ListenPorts): Permission[] {
  switch (condition.on) {
    case 'host':
      return tested(condition, (match) => [host(match, condition.portIgnored)]);
    case 'method':
      return tested(condition, (match) => [
        permission({ case: 'header', value: headerMatcher(':method', match) }),
      ]);
    case 'path':
      return tested(folded(condition), (match) => [path(match)]);
    case 'port':
      return tested(condition, (port) =>
        listenPorts(port).map((value) => permission({ case: 'destinationPort', value })),
      );
    case 'destinationIp':
      return tested(condition, (range) => [
        permission({ case: 'destinationIp', value: cidrRange(range) }),
      ]);
    case 'serverName':
      return tested(condition, (match) => [
        permission({ case: 'requestedServerName', value: textMatcher(match) }),
      ]);
    case 'computed': {
      const { expression } = condition;
      const { values, notValues } = folded({ ...condition, ...computedMatches(condition) });
      const is = (match: TextMatch): Permission => told(expression, textValue(match));
      return [
        // What was not told counts as what is asked for: these rules deny.
        ...(values.length === 0 ? [] : [or([...values.map(is), not(wasTold(expression))])]),
        ...(notValues.length === 0 ? [] : [not(or(notValues.map(is)))]),
      ];
    }
    case 'metadata': {
      // One matcher takes all values, as Istio has it.
      const { filter, key, values, notValues } = condition;
      return [
        ...(values.length === 0 ? [] : [metadata(filter, key, values)]),
        ...(notValues.length === 0 ? [] : [not(metadata(filter, key, notValues))]),
      ];
    }
    default:
      return unreachable(condition);
  }
}

/**
 * One of the values, and none of the others. A value that nothing can have is not left out: it
 * matches nothing.
 */
function tested<M>(tests: Tests<M>, build: (match: M) => readonly Permission[]): Permission[] {
  const values = tests.values.flatMap(build);
  const notValues = tests.notValues.flatMap(build);
  const positive = values.length === 0 ? buildNothing() : or(values);
  return [
    ...(tests.values.length === 0 ? [] : [positive]),
    ...(notValues.length === 0 ? [] : [not(or(notValues))]),
  ];
}

function host(match: TextMatch, portIgnored: boolean): Permission {
  const isPattern = portIgnored && match.match !== 'present';
  const value = isPattern
    ? headerWith(':authority', patternMatcher(hostPattern(match)))
    : headerMatcher(':authority', match, { ignoreCase: true });
  return permission({ case: 'header', value });
}

function path(match: PathMatch): Permission {
  if (match.match !== 'template') return urlPath(textMatcher(match));
  const { template } = match;
  return template.anyCharacter
    ? urlPath(patternMatcher(templatePattern(template)))
    : uriTemplate(template);
}

function urlPath(matcher: StringMatcher): Permission {
  const value = create(PathMatcherSchema, { rule: { case: 'path', value: matcher } });
  return permission({ case: 'urlPath', value });
}

function uriTemplate(template: PathTemplate): Permission {
  const config = create(UriTemplateMatchConfigSchema, { pathTemplate: template.text });
  const value = create(TypedExtensionConfigSchema, {
    name: 'uri-template',
    typedConfig: anyPack(UriTemplateMatchConfigSchema, config),
  });
  return permission({ case: 'uriTemplate', value });
}

function told(expression: string, value: ValueMatcher): Permission {
  const matcher = metadataMatcher(EXT_AUTHZ, [computedKey(expression)], value);
  const sourced = create(SourcedMetadataSchema, {
    metadataMatcher: matcher,
    metadataSource: MetadataSource.DYNAMIC,
  });
  return permission({ case: 'sourcedMetadata', value: sourced });
}

function wasTold(expression: string): Permission {
  return told(expression, presentValue());
}

function metadata(filter: string, key: string, matches: readonly MetadataMatch[]): Permission {
  const values = matches.map(({ inList, text }) =>
    inList ? listValue(textValue(text)) : textValue(text),
  );
  const value = metadataMatcher(filter, [key], anyValue(values));
  return permission({ case: 'metadata', value });
}

function and(rules: Permission[]): Permission {
  return permission({ case: 'andRules', value: create(Permission_SetSchema, { rules }) });
}

function or(rules: Permission[]): Permission {
  return permission({ case: 'orRules', value: create(Permission_SetSchema, { rules }) });
}

function not(rule: Permission): Permission {
  return permission({ case: 'notRule', value: rule });
}

function permission(rule: Permission['rule']): Permission {
  return create(PermissionSchema, { rule });
}
