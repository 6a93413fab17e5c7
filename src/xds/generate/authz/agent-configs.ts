import { create } from '@bufbuild/protobuf';
import { ApiVersion } from '#gen/envoy-api/envoy/config/core/v3/config_source_pb.js';
import {
  type ExtAuthz,
  ExtAuthzSchema,
} from '#gen/envoy-api/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import {
  type RBAC,
  RBACSchema,
} from '#gen/envoy-api/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import type { AgentQuestion } from '#xds/generate/authz/agent-question.ts';
import { extensionConfig } from '#xds/generate/authz/extension-config.ts';
import { AUTHZ_CONFIG_NAMES } from '#xds/generate/authz/filters.ts';
import { metadataMatcher, patternMatcher, presentValue } from '#xds/generate/authz/matchers.ts';
import type { ListenPorts } from '#xds/generate/authz/permission.ts';
import { buildShadowRules } from '#xds/generate/authz/rbac.ts';
import { CLUSTER_NAMES } from '#xds/generate/naming.ts';
import { duration } from '#xds/generate/proto-values.ts';
import type { XdsResource } from '#xds/resource.ts';

/** Before the keys under which the verdict on whether to ask is left. */
const VERDICT = 'bulwark_agent_';
const RBAC_FILTER = 'envoy.filters.http.rbac';
const JWT_FILTER = 'envoy.filters.http.jwt_authn';
/** The agent is on the same host, and looks at nothing but the question. */
const TIMEOUT_MS = 500;

/** The configurations of the filters that ask the agent about requests; none without a question. */
export function agentConfigs(
  question: AgentQuestion | undefined,
  listenPorts: ListenPorts,
): readonly XdsResource[] {
  if (question === undefined) return [];
  const { question: rules, agent } = AUTHZ_CONFIG_NAMES.http;
  return [
    extensionConfig(rules, RBACSchema, buildQuestion(question, listenPorts)),
    extensionConfig(agent, ExtAuthzSchema, buildCheck(question)),
  ];
}

/** Whether a configuration is one of these. */
export function isOfQuestion({ name }: XdsResource): boolean {
  const { question, agent } = AUTHZ_CONFIG_NAMES.http;
  return name === question || name === agent;
}

/** Tries the rules as far as they can be told without the agent; denies nothing. */
function buildQuestion({ rules }: AgentQuestion, listenPorts: ListenPorts): RBAC {
  return create(RBACSchema, {
    shadowRules: buildShadowRules(rules, listenPorts),
    shadowRulesStatPrefix: VERDICT,
  });
}

/**
 * Asks the agent about what they match. When it does not answer the request is denied; when the
 * answer lacks a value, the rule that needs it denies.
 */
function buildCheck({ program, headers }: AgentQuestion): ExtAuthz {
  const key = `${VERDICT}shadow_effective_policy_id`;
  return create(ExtAuthzSchema, {
    services: {
      case: 'grpcService',
      value: {
        targetSpecifier: { case: 'envoyGrpc', value: { clusterName: CLUSTER_NAMES.agent } },
        timeout: duration(TIMEOUT_MS),
        initialMetadata: [{ key: 'bulwark-program', value: program }],
      },
    },
    transportApiVersion: ApiVersion.V3,
    failureModeAllow: false,
    filterEnabledMetadata: metadataMatcher(RBAC_FILTER, [key], presentValue()),
    metadataContextNamespaces: [JWT_FILTER],
    // Nothing else of the caller's headers leaves Envoy.
    allowedHeaders: {
      patterns: headers.length === 0 ? [patternMatcher(NO_HEADER)] : headers.map(exactly),
    },
  });
}

/** Matches no name: without any pattern all headers would be told. */
const NO_HEADER = '[^\\s\\S]';

function exactly(name: string) {
  return { matchPattern: { case: 'exact' as const, value: name }, ignoreCase: true };
}
