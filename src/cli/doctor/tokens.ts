import { type WorkloadOptions, workloadKey } from '#agent/config/workload-options.ts';
import { createAgentMetrics } from '#agent/metrics.ts';
import { explainRefusedToken } from '#agent/tokens/token-claims.ts';
import { TokenFile } from '#agent/tokens/token-file.ts';
import { TokenRequest } from '#agent/tokens/token-request.ts';
import type { TokenSource } from '#agent/tokens/token-source.ts';
import type { Clock } from '#base/clock.ts';
import { readSecretFile } from '#base/files.ts';
import type { Logger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { examine, type Finding } from '#cli/doctor/finding.ts';

export interface TokenOptions {
  readonly workloads: readonly WorkloadOptions[];
  readonly kubeconfig: string | undefined;
  readonly audience: string;
}

export interface TokenDeps {
  readonly log: Logger;
  readonly clock: Clock;
}

/** Looks at the token of each workload, without showing any. A join token is not used up. */
export async function examineTokens(
  options: TokenOptions,
  deps: TokenDeps,
): Promise<readonly Finding[]> {
  if (options.workloads.length === 0) {
    const message = 'no workload was named';
    const remedy = 'give --config, or --namespace and --service-account';
    return [{ check: 'token', state: 'skipped', message, remedy }];
  }
  const metrics = createAgentMetrics(new Metrics());
  return Promise.all(
    options.workloads.map((workload) =>
      examine(`token ${workloadKey(workload)}`, () =>
        workload.joinToken !== undefined || workload.joinTokenFile !== undefined
          ? examineJoinToken(workload)
          : examineToken(workload, options, { ...deps, metrics }),
      ),
    ),
  );
}

async function examineJoinToken({ joinTokenFile }: WorkloadOptions): Promise<string> {
  if (joinTokenFile === undefined) return 'a join token is given; the server says if it is good';
  await readSecretFile(joinTokenFile);
  return `${joinTokenFile} can be read; the server says if its join token is good`;
}

async function examineToken(
  workload: WorkloadOptions,
  { kubeconfig, audience }: TokenOptions,
  deps: TokenDeps & { readonly metrics: ReturnType<typeof createAgentMetrics> },
): Promise<string | Omit<Finding, 'check'>> {
  const { namespace, serviceAccount, tokenFile } = workload;
  const config = workload.kubeconfig ?? kubeconfig;
  if (tokenFile === undefined && config === undefined) {
    const remedy = 'set tokenFile or joinTokenFile, or give --kubeconfig';
    return { state: 'failed', message: 'there is no way to get a token', remedy };
  }
  const source: TokenSource =
    tokenFile === undefined
      ? new TokenRequest({ kubeconfig: config ?? '', namespace, serviceAccount, audience }, deps)
      : new TokenFile(tokenFile, deps);
  const token = await source.token();
  const expected = { audience, namespace, serviceAccount, at: deps.clock.now() };
  const problem = explainRefusedToken(token.reveal(), expected);
  if (problem === undefined) return `${source.description}: good for ${audience}`;
  const remedy = `kubectl create token -n ${namespace} ${serviceAccount} --audience ${audience}`;
  return { state: 'failed', message: `${source.description}: ${problem}`, remedy };
}
