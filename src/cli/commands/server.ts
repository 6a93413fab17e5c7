import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '#base/clock.ts';
import { Metrics } from '#base/metrics.ts';
import { systemRandom } from '#base/random.ts';
import { SETTINGS, type SettingName } from '#base/settings-table.ts';
import type { CliContext } from '#cli/context.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import { untilEnded } from '#cli/until-ended.ts';
import { ControlPlane } from '#controlplane/server.ts';

/** The settings that servers read. */
const SERVER_SETTINGS = (Object.keys(SETTINGS) as SettingName[]).filter((name) =>
  (SETTINGS[name].scope as readonly string[]).includes('server'),
);

/**
 * `bulwark server`: the control plane, until it is asked to end. Says on standard output where it
 * listens.
 */
export function registerServerCommand(program: Command, context: CliContext): void {
  const command = program
    .command('server')
    .description('run the control plane: API server, certificate authority, xDS');
  addSettingOptions(command, SERVER_SETTINGS).action(async () => {
    const { signal, stdout, env } = context;
    const settings = await settingsOf(command, context);
    const data = settings.data ?? defaultData(env);
    const server = new ControlPlane(
      { settings, data },
      {
        clock: systemClock,
        random: systemRandom,
        log: context.logger(settings.logLevel),
        metrics: new Metrics(),
        stdout,
      },
    );
    await server.start();
    try {
      const { api, discovery, monitoring } = server.addresses;
      stdout.write(`data folder   ${data}
API           ${api}
kubeconfig    ${server.kubeconfig}  (for you only, mode 0600)
xDS and CA    ${discovery}
metrics       ${monitoring}/metrics
try           kubectl --kubeconfig ${server.kubeconfig} apply -f samples/photo/
mutual TLS    PERMISSIVE unless a PeerAuthentication says STRICT: plaintext is still taken
ready
`);
      await untilEnded(signal);
    } finally {
      await server.close();
    }
  });
}

/** Where the server keeps its things when nobody says (XDG base directories). */
function defaultData(env: CliContext['env']): string {
  return join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'bulwark');
}
