// What an agent answers: values for requests, and an error for all that it does not understand.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { GRPC_STATUS, GrpcStatusError } from '#base/grpc/grpc.ts';
import type { AttributeContextSchema } from '#gen/envoy-api/envoy/service/auth/v3/attribute_context_pb.js';
import {
  CheckRequestSchema,
  CheckResponseSchema,
} from '#gen/envoy-api/envoy/service/auth/v3/external_auth_pb.js';
import { answer } from './answer.ts';

const program = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

function question(attributes: MessageInitShape<typeof AttributeContextSchema>): Uint8Array {
  return toBinary(CheckRequestSchema, create(CheckRequestSchema, { attributes }));
}

const REQUEST = question({
  source: {
    principal: 'spiffe://cluster.local/ns/a/sa/b',
    address: { address: { case: 'socketAddress', value: { address: '10.0.0.1' } } },
  },
  request: {
    http: {
      method: 'GET',
      host: 'shop',
      path: '/x?a=1&a=2&b',
      headers: { version: 'V1', 'user-agent': 'x' },
    },
  },
  tlsSession: { sni: 'shop.example' },
  metadataContext: {
    filterMetadata: {
      'envoy.filters.http.jwt_authn': {
        payload: { iss: 'i', sub: 's', aud: ['x', 'y'], n: 1, constructor: 'c' },
      },
    },
  },
});

function told(expressions: Readonly<Record<string, string>>, request = REQUEST): unknown {
  const metadata = { 'bulwark-program': program(expressions) };
  const response = fromBinary(CheckResponseSchema, answer(request, metadata));
  assert.equal(response.status?.code, 0);
  return response.dynamicMetadata;
}

function refused(text: string | undefined, words: RegExp, request = REQUEST): void {
  assert.throws(
    () => answer(request, text === undefined ? {} : { 'bulwark-program': text }),
    (error) =>
      error instanceof GrpcStatusError &&
      error.status === GRPC_STATUS.invalidArgument &&
      words.test(error.message),
  );
}

describe('an answer', () => {
  it('has the values of the expressions, and null for those without', () => {
    const expressions = {
      a: 'toLower(request.headers["Version"])',
      b: 'request.query_params["a"] + "-" + request.query_params["b"]',
      c: 'request.query_params["c"]',
      d: 'source.namespace == source.workload.namespace',
      e: 'size(request.host) > 4',
      f: 'request.auth.principal | "nobody"',
      g: 'request.auth.audiences',
      h: 'request.auth.claims["n"] | "no text"',
      i: 'source.ip == ip("10.0.0.1")',
      j: 'connection.requested_server_name',
      k: 'request.headers["host"]',
      l: 'destination.labels["app"] | "unknown"',
      m: 'request.headers["constructor"]',
      n: 'conditional(connection.mtls, source.serviceAccount, "none")',
      o: 'request.headers',
    };
    assert.deepEqual(told(expressions), {
      ...{ a: '=v1', b: '=1-', c: null, d: '=true', e: '=false', f: '=i/s', g: '=x,y' },
      ...{ h: '=no text', i: '=true', j: '=shop.example', k: '=shop', l: '=unknown', m: null },
      ...{ n: '=b', o: null },
    });
  });

  it('knows of a request without identity and token that it has none', () => {
    const plain = question({ request: { http: { method: 'GET', path: '/' } } });
    const expressions = {
      a: 'source.principal',
      b: 'connection.mtls',
      c: 'request.auth.claims["iss"]',
      d: 'source.ip',
    };
    assert.deepEqual(told(expressions, plain), { a: null, b: '=false', c: null, d: null });
  });

  it('tries no regular expression, which could take hours', () => {
    assert.deepEqual(told({ a: '"(a+)+$".matches(request.path)' }), { a: null });
  });
});

describe('an error', () => {
  it('is the answer to what is no program', () => {
    refused(undefined, /no program/);
    refused('!', /no object of JSON/);
    refused(program('[]'), /no object of JSON/);
    refused(program({ a: 1 }), /cannot be read/);
    refused(program({ a: 'request.path ==' }), /cannot be read/);
    refused(program({ 'a b': 'request.path' }), /cannot be read/);
    refused('A'.repeat(16_001), /too long/);
    const many = Object.fromEntries(Array.from({ length: 501 }, (_, at) => [`k${at}`, 'a']));
    refused(program(many), /too many/);
    const deep = `${'('.repeat(100)}a${')'.repeat(100)}`;
    refused(program({ a: deep }), /cannot be read/);
  });

  it('is the answer to a question without a request', () => {
    refused(program({ a: 'request.path' }), /has no request/, question({}));
  });
});
