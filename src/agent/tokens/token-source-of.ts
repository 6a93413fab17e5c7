import type { WorkloadOptions } from '#agent/config/workload-options.ts';
import type { AgentMetrics } from '#agent/metrics.ts';
import { JoinTokenSource } from '#agent/tokens/join-token.ts';
import { MountedToken } from '#agent/tokens/mounted-token.ts';
import { TokenFile } from '#agent/tokens/token-file.ts';
import { TokenRequest } from '#agent/tokens/token-request.ts';
import type { TokenSource } from '#agent/tokens/token-source.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Settings } from '#base/settings-table.ts';

export interface TokenSourceDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: AgentMetrics;
}

/**
 * Where the tokens of a workload come from: what it says itself, else the API server that a
 * kubeconfig names, else what the platform mounted.
 */
export function tokenSourceOf(
  workload: WorkloadOptions,
  settings: Pick<Settings, 'kubeconfig' | 'tokenAudiences' | 'jwtPolicy'>,
  deps: TokenSourceDeps,
): TokenSource {
  const { joinToken, joinTokenFile, tokenFile, namespace, serviceAccount } = workload;
  if (joinToken !== undefined || joinTokenFile !== undefined)
    return new JoinTokenSource({ token: joinToken, file: joinTokenFile });
  if (tokenFile !== undefined) return new TokenFile(tokenFile, deps);
  const kubeconfig = workload.kubeconfig ?? settings.kubeconfig;
  const { jwtPolicy } = settings;
  if (kubeconfig === undefined) return new MountedToken({ root: '/', jwtPolicy }, deps);
  const audience = settings.tokenAudiences[0] ?? '';
  return new TokenRequest({ kubeconfig, namespace, serviceAccount, audience }, deps);
}
