import type { GrpcService } from '#base/grpc/grpc.ts';

/** How Envoy asks (envoy.service.auth.v3). */
const CHECK = '/envoy.service.auth.v3.Authorization/Check';

/**
 * Works out for the Envoy of a workload what it cannot work out itself of a request: values of
 * Mixer's expressions (ADR 27). It decides nothing, and knows no policy: what is asked comes with
 * each question. A question that it does not understand gets an error, for which Envoy denies.
 */
export function mixerCheckService(): GrpcService {
  // Most workloads never ask: what it takes is loaded with the first question.
  const loaded = () => import('#agent/mixer/answer.ts');
  return {
    unary: {
      [CHECK]: async (request, { metadata }) => (await loaded()).answer(request, metadata),
    },
  };
}
