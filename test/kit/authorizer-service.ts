import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type CheckRequest,
  CheckRequestSchema,
  CheckResponseSchema,
} from '#gen/envoy-api/envoy/service/auth/v3/external_auth_pb.js';
import { serveGrpc } from './grpc-server.ts';

/** What an authorizer was asked over HTTP. */
export interface HttpQuestion {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What it answers: 200 allows. `hang`: it says nothing at all. */
export type HttpVerdict =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  | 'hang';

/** An authorizer on loopback. */
export interface HttpAuthorizer {
  readonly port: number;
  readonly questions: HttpQuestion[];
  verdict: (question: HttpQuestion) => HttpVerdict;
}

/** Answers checks over HTTP: allows until a test says otherwise. Ends with the test. */
export async function startHttpAuthorizer(
  test: Pick<TestContext, 'after'>,
): Promise<HttpAuthorizer> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url: path = '', headers } = request;
      const question = { method, path, headers, body: Buffer.concat(chunks).toString() };
      authorizer.questions.push(question);
      const verdict = authorizer.verdict(question);
      if (verdict === 'hang') return;
      response.writeHead(verdict.status, verdict.headers).end(verdict.body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const authorizer: HttpAuthorizer = {
    port: (server.address() as AddressInfo).port,
    questions: [],
    verdict: () => ({ status: 200 }),
  };
  return authorizer;
}

/** What it answers over gRPC; a denied caller gets the status, headers and body. */
export interface GrpcVerdict {
  readonly isAllowed: boolean;
  readonly status?: number;
  /** For the application when allowed, for the caller when not. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An authorizer that is asked over gRPC. */
export interface GrpcAuthorizer {
  readonly port: number;
  readonly questions: CheckRequest[];
  verdict: (question: CheckRequest) => GrpcVerdict;
}

/** gRPC's status of a denial; 0 allows. */
const PERMISSION_DENIED = 7;

/** Answers envoy.service.auth.v3.Authorization/Check; allows until a test says otherwise. */
export async function startGrpcAuthorizer(
  test: Pick<TestContext, 'after'>,
): Promise<GrpcAuthorizer> {
  const check = async (request: Uint8Array): Promise<Uint8Array> => {
    const question = fromBinary(CheckRequestSchema, request);
    authorizer.questions.push(question);
    return toBinary(CheckResponseSchema, responseOf(authorizer.verdict(question)));
  };
  const { server } = await serveGrpc(test, {
    unary: { '/envoy.service.auth.v3.Authorization/Check': check },
    streams: {},
  });
  const authorizer: GrpcAuthorizer = {
    port: server.port,
    questions: [],
    verdict: () => ({ isAllowed: true }),
  };
  return authorizer;
}

function responseOf({ isAllowed, status = 403, headers = {}, body = '' }: GrpcVerdict) {
  const options = Object.entries(headers).map(([key, value]) => ({ header: { key, value } }));
  return create(CheckResponseSchema, {
    status: { code: isAllowed ? 0 : PERMISSION_DENIED },
    httpResponse: isAllowed
      ? { case: 'okResponse', value: { headers: options } }
      : { case: 'deniedResponse', value: { status: { code: status }, headers: options, body } },
  });
}
