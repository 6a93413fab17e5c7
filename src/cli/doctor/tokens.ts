import { type WorkloadOptions, workloadKey } from '#agent/config/workload-options.ts';
import { createAgentMetrics } from '#agent/metrics.ts';
import { explainRefusedToken } from '#agent/tokens/token-claims.ts';
import { type TokenSourceDeps, tokenSourceOf } from '#agent/tokens/token-source-of.ts';
import type { Clock } from '#base/clock.ts';
import { readSecretFile } from '#base/files.ts';
import type { Logger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import type { Settings } from '#base/settings-table.ts';
import { examine, type Finding } from '#cli/doctor/finding.ts';

export interface TokenOptions {
  readonly workloads: readonly WorkloadOptions[];
  readonly settings: Pick<Settings, 'kubeconfig' | 'tokenAudiences' | 'jwtPolicy'>;
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
          : examineToken(workload, options.settings, { ...deps, metrics }),
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
  settings: TokenOptions['settings'],
  deps: TokenSourceDeps,
): Promise<string | Omit<Finding, 'check'>> {
  const { namespace, serviceAccount } = workload;
  const source = tokenSourceOf(workload, settings, deps);
  const token = await source.token();
  const audience = settings.tokenAudiences[0] ?? '';
  const own = { namespace, serviceAccount, at: deps.clock.now() };
  const isForAny = settings.jwtPolicy === 'first-party-jwt';
  const expected = isForAny ? own : { ...own, audience };
  const problem = explainRefusedToken(token.reveal(), expected);
  if (problem === undefined) return `${source.description}: good for ${audience}`;
  const remedy = `kubectl create token -n ${namespace} ${serviceAccount} --audience ${audience}`;
  return { state: 'failed', message: `${source.description}: ${problem}`, remedy };
}
