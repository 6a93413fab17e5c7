import { HeaderValueOption_HeaderAppendAction } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import { ExpressionFilterSchema } from '#gen/envoy-api/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js';
import type { HttpConnectionManagerSchema } from '#gen/envoy-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { WorkloadAuthorization } from '#policy/authz/selection.ts';
import { verdictPrefix } from '#xds/generate/authz/external-check.ts';
import { CUSTOM_PLACES } from '#xds/generate/authz/filters.ts';
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

/** By which callers are told what denied them, where the mesh says so. */
export const DENIAL_HEADER = 'x-bulwark-denied-by';

/** Answers of Envoy itself with what rules tell callers in their place, and with what denied. */
export function denialReplies(
  denials: readonly RuleDenial[],
  denialHeader: boolean,
): Pick<Init<typeof HttpConnectionManagerSchema>, 'localReplyConfig'> {
  const own = denials.map(({ rules, status, body }) => ({
    ...fitting(detailsBegin(DETAILS + rules)),
    statusCode: status,
    body: { specifier: { case: 'inlineString' as const, value: body } },
    ...(denialHeader && header(DENYING_RULE)),
  }));
  const told = denialHeader
    ? REASONS.map(({ on, says }) => ({ ...fitting(on), ...header(says) }))
    : [];
  // The first that fits counts.
  const mappers = [...own, ...told];
  return mappers.length === 0 ? {} : { localReplyConfig: { mappers } };
}

/** Where the filters that try rules note which one decided. */
const NOTES = 'envoy.filters.http.rbac';

/**
 * `rbac_access_denied_matched_policy[ns[shop]-policy[backend]-rule[0]]`: when Envoy answers, the
 * filter has not noted its rule yet, so there is nothing shorter.
 */
const DENYING_RULE = '%RESPONSE_CODE_DETAILS%';

interface Reason {
  /** On which answers, in the expression language of Envoy. */
  readonly on: string;
  /** The value of the header, as a format of Envoy. */
  readonly says: string;
}

const REASONS: readonly Reason[] = [
  { on: detailsBegin(`${DETAILS}none]`), says: 'no ALLOW rule matches' },
  { on: detailsBegin(DETAILS), says: DENYING_RULE },
  // `jwt_authn_access_denied{Jwt_is_expired}`.
  { on: detailsBegin('jwt_authn_access_denied'), says: '%RESPONSE_CODE_DETAILS%' },
  // Of the providers that were asked, the last one said no.
  ...[...CUSTOM_PLACES].reverse().map(providerReason),
];

function providerReason(place: number): Reason {
  const key = `${verdictPrefix(place)}shadow_effective_policy_id`;
  const isAsked = `'${key}' in metadata.filter_metadata['${NOTES}']`;
  return { on: `${detailsBegin('ext_authz')} && ${isAsked}`, says: noted(key) };
}

function noted(key: string): string {
  return `%DYNAMIC_METADATA(${NOTES}:${key})%`;
}

function detailsBegin(text: string): string {
  return `response.code_details.startsWith(${celText(text)})`;
}

function header(value: string) {
  const action = HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD;
  return { headersToAdd: [{ header: { key: DENIAL_HEADER, value }, appendAction: action }] };
}

function fitting(expression: string) {
  return {
    filter: {
      filterSpecifier: {
        case: 'extensionFilter' as const,
        value: {
          name: 'envoy.access_loggers.extension_filters.cel',
          configType: typedConfig(ExpressionFilterSchema, { expression }),
        },
      },
    },
  };
}

/** A text of CEL. Names of objects have nothing to escape. */
function celText(text: string): string {
  return `'${text}'`;
}
