// The set-up: dependencies, Envoy, generated messages; each step does nothing when its result is
// already there. Plain JavaScript for any Node from 18 on, because it fetches the Node 24 that runs
// everything else.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureAgentBundle } from './agent-bundle.js';
import { ensureDependencies, findNode } from './dependencies.js';
import { ensureEnvoy } from './envoy.js';
import { ensureMessages } from './messages.js';

/**
 * Makes the checkout at `root` ready to run.
 * @param {{root: string, report: (line: string) => void, env?: NodeJS.ProcessEnv, isAsked?:
 * boolean}} options `isAsked` when somebody asked for it: then what only saves time is renewed, too
 * @returns {Promise<{node: string, envoy: {path: string, version: string, sha256: string}, summary:
 * string}>}
 * @throws SetupError whose message names the way out
 */
export async function setup({ root, report, env = process.env, isAsked = false }) {
  const startedAt = Date.now();
  const dependenciesMade = await ensureDependencies({ root, report, env });
  const node = findNode(root);
  const envoy = await ensureEnvoy({ root, report, env });
  const messagesMade = await ensureMessages({ root, report, env, envoy, node });
  const isBundleWanted = isAsked || !existsSync(join(root, 'gen/agent'));
  const bundleMade = isBundleWanted && (await ensureAgentBundle({ root, report, node }));
  const did = [
    dependenciesMade && 'dependencies',
    envoy.made && 'Envoy',
    messagesMade && 'messages',
    bundleMade && 'the bundle of agents',
  ];
  const made = did.filter(Boolean).join(', ') || 'nothing to do';
  return { node, envoy, summary: `${made}, ${Date.now() - startedAt} ms` };
}
