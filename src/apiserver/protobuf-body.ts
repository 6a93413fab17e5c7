import { type DescMessage, fromBinary, type JsonValue, toJson } from '@bufbuild/protobuf';
import {
  SelfSubjectReviewSchema,
  TokenRequestSchema,
  TokenReviewSchema,
} from '#gen/bulwark/kubernetes/authentication_pb.js';
import {
  LocalSubjectAccessReviewSchema,
  SelfSubjectAccessReviewSchema,
  SelfSubjectRulesReviewSchema,
  SubjectAccessReviewSchema,
} from '#gen/bulwark/kubernetes/authorization_pb.js';
import {
  ConfigMapSchema,
  NamespaceSchema,
  SecretSchema,
  ServiceAccountSchema,
  ServiceSchema,
} from '#gen/bulwark/kubernetes/core_pb.js';
import { UnknownSchema } from '#gen/bulwark/kubernetes/meta_pb.js';
import {
  ClusterRoleBindingSchema,
  ClusterRoleSchema,
  RoleBindingSchema,
  RoleSchema,
} from '#gen/bulwark/kubernetes/rbac_pb.js';

/** "k8s" and a zero byte: how every protobuf body begins. */
const MAGIC = Buffer.from('k8s\0');

const MESSAGES: ReadonlyMap<string, DescMessage> = new Map<string, DescMessage>([
  ['v1 Namespace', NamespaceSchema],
  ['v1 Secret', SecretSchema],
  ['v1 ConfigMap', ConfigMapSchema],
  ['v1 ServiceAccount', ServiceAccountSchema],
  ['v1 Service', ServiceSchema],
  ['authentication.k8s.io/v1 TokenRequest', TokenRequestSchema],
  ['authentication.k8s.io/v1 TokenReview', TokenReviewSchema],
  ['authentication.k8s.io/v1 SelfSubjectReview', SelfSubjectReviewSchema],
  ['authorization.k8s.io/v1 LocalSubjectAccessReview', LocalSubjectAccessReviewSchema],
  ['authorization.k8s.io/v1 SelfSubjectAccessReview', SelfSubjectAccessReviewSchema],
  ['authorization.k8s.io/v1 SelfSubjectRulesReview', SelfSubjectRulesReviewSchema],
  ['authorization.k8s.io/v1 SubjectAccessReview', SubjectAccessReviewSchema],
  ['rbac.authorization.k8s.io/v1 ClusterRole', ClusterRoleSchema],
  ['rbac.authorization.k8s.io/v1 ClusterRoleBinding', ClusterRoleBindingSchema],
  ['rbac.authorization.k8s.io/v1 Role', RoleSchema],
  ['rbac.authorization.k8s.io/v1 RoleBinding', RoleBindingSchema],
]);

type JsonObject = { [key: string]: JsonValue };

/**
 * The object in a body of type application/vnd.kubernetes.protobuf, as its JSON form has it.
 * kubectl sends this form when it creates built-in kinds, and does not fall back to JSON.
 * @returns undefined when the body is no such envelope, or of a kind that has no binary form here
 */
export function decodeProtobufBody(body: Buffer): JsonObject | undefined {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  try {
    const { typeMeta, raw } = fromBinary(UnknownSchema, body.subarray(MAGIC.length));
    const { apiVersion = '', kind = '' } = typeMeta ?? {};
    const schema = MESSAGES.get(`${apiVersion} ${kind}`);
    if (!schema) return undefined;
    const fields = toJson(schema, fromBinary(schema, raw)) as JsonObject;
    return { apiVersion, kind, ...corrected(fields) };
  } catch {
    return undefined;
  }
}

/**
 * Two things that protobuf's JSON writes otherwise than Kubernetes: 64-bit numbers, and "number or
 * text".
 */
function corrected(value: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      if (key === 'expirationSeconds') return [key, Number(member)];
      if (key === 'targetPort') return [key, numberOrText(member)];
      if (key === 'ports' && Array.isArray(member)) {
        return [key, member.map((port) => corrected(port as JsonObject))];
      }
      if (key === 'spec') return [key, corrected(member as JsonObject)];
      return [key, member];
    }),
  );
}

function numberOrText(value: JsonValue): JsonValue {
  const { type, intVal, strVal } = value as JsonObject;
  return type === undefined || type === '0' ? (intVal ?? 0) : (strVal ?? '');
}
