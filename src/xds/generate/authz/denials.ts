import { ExpressionFilterSchema } from '#gen/envoy-api/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js';
import type { HttpConnectionManagerSchema } from '#gen/envoy-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import { type Init, typedConfig } from '#xds/generate/proto-values.ts';

/** What the callers are told whom a rule denies. Plain JSON values. */
export interface RuleDenial {
  /** How the names of its rules begin, as they stand in the filters. */
  readonly rules: string;
  readonly status: number;
  readonly body: string;
}

/** What Envoy says of an answer that a DENY rule made: then comes the name of the rule. */
const DETAILS = 'rbac_access_denied_matched_policy[';

/** The policies of a workload that tell callers something of their own. */
export function ruleDenials({ policies }: WorkloadAuthorization): readonly RuleDenial[] {
  return policies.flatMap(({ denial, http: [first] }) => {
    if (denial === undefined || first === undefined) return [];
    return [{ rules: first.name.slice(0, first.name.lastIndexOf('[') + 1), ...denial }];
  });
}

/** Answers of Envoy itself with what rules tell callers in their place. */
export function denialReplies(
  denials: readonly RuleDenial[],
): Pick<Init<typeof HttpConnectionManagerSchema>, 'localReplyConfig'> {
  if (denials.length === 0) return {};
  const mappers = denials.map(({ rules, status, body }) => ({
    filter: {
      filterSpecifier: {
        case: 'extensionFilter' as const,
        value: {
          name: 'envoy.access_loggers.extension_filters.cel',
          configType: typedConfig(ExpressionFilterSchema, {
            expression: `response.code_details.startsWith(${celText(DETAILS + rules)})`,
          }),
        },
      },
    },
    statusCode: status,
    body: { specifier: { case: 'inlineString' as const, value: body } },
  }));
  return { localReplyConfig: { mappers } };
}

/** A text of CEL. Names of objects have nothing to escape. */
function celText(text: string): string {
  return `'${text}'`;
}
