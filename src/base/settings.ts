import { isAbsolute, resolve } from 'node:path';
import { parseDurationMs } from '#base/duration.ts';
import { BulwarkError } from '#base/errors.ts';
import type { SettingDefinition } from '#base/settings/definition.ts';
import { SETTINGS, type SettingName, type Settings } from '#base/settings-table.ts';

/** Where settings come from; the first that names a setting wins, in this order. */
export interface SettingSources {
  /** From the command line, by setting name. */
  readonly flags?: Readonly<Partial<Record<SettingName, string>>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The parsed settings file: an object with setting names as keys. */
  readonly file?: unknown;
  /** What was found out, by setting name: counts where nobody said anything. */
  readonly found?: Readonly<Partial<Record<SettingName, string>>>;
  /** Relative paths count from here; the working directory when left out. */
  readonly directory?: string;
}

const NAMES = Object.keys(SETTINGS) as SettingName[];

/** The command line flag of a setting: `--discovery-address`. */
export function flagOf(name: SettingName): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * All settings from flags, environment and file.
 * @throws BulwarkError SETTINGS_INVALID that names the setting, where the value came from, and what
 * is accepted
 */
export function resolveSettings(sources: SettingSources): Settings {
  const file = fileEntries(sources.file);
  const resolved = NAMES.map((name) => {
    const found = find(name, sources, file);
    if (found === undefined) return [name, undefined] as const;
    return [name, parse(SETTINGS[name], found, sources.directory ?? process.cwd())] as const;
  });
  return Object.freeze(Object.fromEntries(resolved)) as unknown as Settings;
}

interface Found {
  readonly text: string;
  readonly from: string;
}

function find(
  name: SettingName,
  sources: SettingSources,
  file: ReadonlyMap<string, string>,
): Found | undefined {
  const definition: SettingDefinition = SETTINGS[name];
  const flag = sources.flags?.[name];
  if (flag !== undefined) return { text: flag, from: flagOf(name) };
  for (const variable of definition.env) {
    const text = sources.env?.[variable];
    if (text !== undefined && text !== '')
      return { text, from: `environment variable ${variable}` };
  }
  const text = file.get(name);
  if (text !== undefined) return { text, from: `"${name}" in the settings file` };
  const discovered = sources.found?.[name];
  if (discovered !== undefined) return { text: discovered, from: `what was found for ${name}` };
  return definition.default === undefined
    ? undefined
    : { text: definition.default, from: `default of ${name}` };
}

function fileEntries(file: unknown): ReadonlyMap<string, string> {
  if (file === undefined || file === null) return new Map();
  if (typeof file !== 'object' || Array.isArray(file))
    throw invalid('the settings file must be a map of names to values');
  const entries = new Map<string, string>();
  for (const [key, value] of Object.entries(file)) {
    if (!(key in SETTINGS))
      throw invalid(`"${key}" in the settings file is no setting${nearest(key)}`);
    entries.set(key, Array.isArray(value) ? value.join(',') : String(value));
  }
  return entries;
}

function nearest(key: string): string {
  const close = NAMES.find(
    (name) => name.toLowerCase() === key.replaceAll(/[-_]/g, '').toLowerCase(),
  );
  return close ? `; did you mean "${close}"?` : '';
}

function itemsOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
}

function parse(definition: SettingDefinition, { text, from }: Found, directory: string): unknown {
  const { choices } = definition;
  const wrong = definition.type === 'list' ? itemsOf(text) : [text];
  const unknown = choices && wrong.find((item) => !choices.includes(item));
  if (unknown !== undefined)
    throw invalid(`${from} is "${unknown}"; accepted: ${choices?.join(', ')}`);
  switch (definition.type) {
    case 'string':
      return text;
    case 'path':
      return isAbsolute(text) ? text : resolve(directory, text);
    case 'list':
      return itemsOf(text);
    case 'boolean':
      if (!/^(true|false|1|0)$/i.test(text))
        throw invalid(`${from} is "${text}"; accepted: true, false`);
      return /^(true|1)$/i.test(text);
    case 'port':
      return bounded(Number(text), text, from, { min: 0, max: 65_535, what: 'a port number' });
    case 'integer': {
      const bounds = {
        min: Number(definition.min ?? 0),
        max: Number(definition.max ?? Number.MAX_SAFE_INTEGER),
      };
      return bounded(Number(text), text, from, { ...bounds, what: 'a whole number' });
    }
    case 'duration': {
      const min = parseDurationMs(definition.min ?? '0') ?? 0;
      const max = parseDurationMs(definition.max ?? '') ?? Number.MAX_SAFE_INTEGER;
      const shown = {
        minShown: definition.min,
        maxShown: definition.max,
        what: 'a duration such as 90s or 24h',
      };
      return bounded(parseDurationMs(text) ?? Number.NaN, text, from, { min, max, ...shown });
    }
  }
}

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly what: string;
  readonly minShown?: string | undefined;
  readonly maxShown?: string | undefined;
}

function bounded(value: number, text: string, from: string, bounds: Bounds): number {
  const wellFormed =
    text.trim() !== '' &&
    Number.isFinite(value) &&
    (bounds.minShown !== undefined || Number.isInteger(value));
  if (!wellFormed || value < bounds.min || value > bounds.max) {
    const low = bounds.minShown ?? String(bounds.min);
    const high =
      bounds.maxShown ?? (bounds.max === Number.MAX_SAFE_INTEGER ? '' : String(bounds.max));
    const range = high ? ` from ${low} to ${high}` : ` of at least ${low}`;
    throw invalid(`${from} is "${text}"; accepted: ${bounds.what}${range}`);
  }
  return value;
}

function invalid(message: string): BulwarkError {
  return new BulwarkError('SETTINGS_INVALID', message, {
    remedy: 'see docs/reference/settings.md',
  });
}
