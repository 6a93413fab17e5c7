import type { IncomingHttpHeaders } from 'node:http2';
import { create, fromBinary, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { programOf } from '#agent/mixer/program.ts';
import { GRPC_STATUS, GrpcStatusError } from '#base/grpc/grpc.ts';
import type { AttributeContext } from '#gen/envoy-api/envoy/service/auth/v3/attribute_context_pb.js';
import {
  CheckRequestSchema,
  CheckResponseSchema,
} from '#gen/envoy-api/envoy/service/auth/v3/external_auth_pb.js';
import { interpreted } from '#mixer/interpret.ts';
import { type RequestFacts, requestAttributes } from '#mixer/request-attributes.ts';

const JWT_FILTER = 'envoy.filters.http.jwt_authn';
/** Where that filter leaves the payload of a verified token. */
const PAYLOAD = 'payload';
/** Before each value, so that an empty one is not like none. */
const MARK = '=';

/**
 * Answers one question: the values of the expressions in its metadata, for the request in its body.
 * An expression without a value is `null`, which is an answer, too.
 * @throws GrpcStatusError INVALID_ARGUMENT
 */
export function answer(request: Uint8Array, metadata: IncomingHttpHeaders): Uint8Array {
  const program = programOf(metadata['bulwark-program']);
  const { attributes } = fromBinary(CheckRequestSchema, request);
  if (attributes?.request?.http === undefined)
    throw new GrpcStatusError(GRPC_STATUS.invalidArgument, 'the question has no request');
  const known = requestAttributes(factsOf(attributes));
  const dynamicMetadata: JsonObject = {};
  for (const [key, expression] of program) {
    const value = interpreted(expression, known);
    const isText = value !== undefined && !(value instanceof Map);
    dynamicMetadata[key] = isText ? `${MARK}${String(value)}` : null;
  }
  const response = create(CheckResponseSchema, {
    status: { code: GRPC_STATUS.ok },
    httpResponse: { case: 'okResponse', value: {} },
    dynamicMetadata,
  });
  return toBinary(CheckResponseSchema, response);
}

function factsOf({ source, request, tlsSession, metadataContext }: AttributeContext): RequestFacts {
  const { method = '', host = '', path: target = '', headers = {} } = request?.http ?? {};
  const lines: Readonly<Record<string, string>> = {
    ':method': method,
    ':path': target,
    ':authority': host,
    host,
  };
  const { address } = source?.address ?? {};
  return {
    identity: source?.principal ?? '',
    sourceIp: address?.case === 'socketAddress' ? address.value.address : '',
    serverName: tlsSession?.sni ?? '',
    method,
    host,
    target,
    header: (name) => own(lines, name) || own(headers, name),
    claims: own(metadataContext?.filterMetadata[JWT_FILTER] ?? {}, PAYLOAD),
  };
}

function own<T>(map: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}
