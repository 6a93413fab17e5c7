import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { load } from 'js-yaml';
import { BulwarkError } from '#base/errors.ts';
import type { SettingDefinition } from '#base/settings/definition.ts';
import { flagOf, resolveSettings, type SettingSources } from '#base/settings.ts';
import { SETTINGS, type SettingName, type Settings } from '#base/settings-table.ts';
import type { CliContext } from '#cli/context.ts';
import { serverBeside } from '#cli/server-beside.ts';

/** Adds the flags of these settings, and `--settings FILE`, to a command. */
export function addSettingOptions(command: Command, names: readonly SettingName[]): Command {
  for (const name of names) {
    const { doc, default: fallback, env }: SettingDefinition = SETTINGS[name];
    const notes = [fallback && `default ${fallback}`, env[0] && `env ${env[0]}`].filter(Boolean);
    command.addOption(new Option(`${flagOf(name)} <value>`, `${doc} (${notes.join('; ')})`));
  }
  return command.option('--settings <file>', 'a YAML file with settings, by name');
}

/**
 * The settings of a command: its flags, then the environment, then its settings file, then the
 * defaults.
 * @param entries settings by name that stand in place of a settings file, when none is given
 */
export async function settingsOf(
  command: Command,
  context: CliContext,
  entries?: Readonly<Record<string, unknown>>,
): Promise<Settings> {
  return resolveSettings(await sourcesOf(command, context, entries));
}

/**
 * Like {@link settingsOf}, for commands that talk to the server as an agent does: on the server's
 * own machine its root certificate and address are found beside the kubeconfig that it wrote.
 */
export async function settingsNearServer(
  command: Command,
  context: CliContext,
  entries?: Readonly<Record<string, unknown>>,
): Promise<Settings> {
  const sources = await sourcesOf(command, context, entries);
  const { kubeconfig } = resolveSettings(sources);
  return resolveSettings({ ...sources, found: await serverBeside(kubeconfig) });
}

async function sourcesOf(
  command: Command,
  context: CliContext,
  entries: Readonly<Record<string, unknown>> | undefined,
): Promise<SettingSources> {
  const options: Readonly<Record<string, string | undefined>> = command.opts();
  const names = Object.keys(SETTINGS) as SettingName[];
  const given = names.filter((name) => options[name] !== undefined);
  const flags = Object.fromEntries(given.map((name) => [name, options[name]]));
  const path = options.settings;
  const file = path === undefined ? entries : await readSettingsFile(path);
  return { flags, env: context.env, file };
}

async function readSettingsFile(path: string): Promise<unknown> {
  try {
    return load(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new BulwarkError('SETTINGS_INVALID', `cannot read the settings file ${path}`, { cause });
  }
}
