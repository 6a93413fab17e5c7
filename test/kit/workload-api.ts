import type { TestContext } from 'node:test';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import {
  JWTSVIDRequestSchema,
  JWTSVIDResponseSchema,
  ValidateJWTSVIDRequestSchema,
  ValidateJWTSVIDResponseSchema,
} from '#gen/bulwark/spiffe/workload_pb.js';
import { GrpcTestClient } from './grpc-client.ts';
import { waitUntil } from './wait-until.ts';

/** The calls of the SPIFFE Workload API for tokens, on the socket of an agent. */
export function tokenApi(t: Pick<TestContext, 'after'>, socketPath: string) {
  const client = new GrpcTestClient(t, `unix:${socketPath}`);
  const call = async (method: string, bytes: Uint8Array) => {
    const metadata = { 'workload.spiffe.io': 'true' };
    const stream = client.stream(`/SpiffeWorkloadAPI/${method}`, { metadata });
    stream.send(bytes);
    stream.finish();
    const { code } = await stream.outcome;
    return { code, bytes: stream.messages[0] ?? Buffer.alloc(0) };
  };
  const fetch = async (init: MessageInitShape<typeof JWTSVIDRequestSchema>) => {
    const request = toBinary(JWTSVIDRequestSchema, create(JWTSVIDRequestSchema, init));
    const { code, bytes } = await call('FetchJWTSVID', request);
    return { code, svid: fromBinary(JWTSVIDResponseSchema, bytes).svids[0]?.svid ?? '' };
  };
  return {
    fetch,
    /** What verifies tokens comes from the control plane a moment after the certificate. */
    token: (audience: string) =>
      waitUntil(async () => {
        const { code, svid } = await fetch({ audience: [audience] });
        return code === GRPC_STATUS.ok && svid;
      }, `a token for ${audience}`),
    validate: async (svid: string, audience: string) => {
      const init = create(ValidateJWTSVIDRequestSchema, { svid, audience });
      const request = toBinary(ValidateJWTSVIDRequestSchema, init);
      const { code, bytes } = await call('ValidateJWTSVID', request);
      return { code, identity: fromBinary(ValidateJWTSVIDResponseSchema, bytes).spiffeId };
    },
  };
}
