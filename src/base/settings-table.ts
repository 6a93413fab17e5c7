import { AGENT_TABLE } from '#base/settings/agent.ts';
import { AUDIT_SETTINGS } from '#base/settings/audit.ts';
import { AUTHORITY_SETTINGS } from '#base/settings/authority.ts';
import type { SettingDefinition } from '#base/settings/definition.ts';
import { FEDERATION_SETTINGS } from '#base/settings/federation.ts';
import { MESH_SETTINGS } from '#base/settings/mesh.ts';
import { SERVER_SETTINGS } from '#base/settings/server.ts';

/**
 * Every setting, once. The name in camelCase is the key in a settings file; the flag is the same in
 * kebab-case. docs/reference/settings.md is generated from here.
 */
export const SETTINGS = {
  ...MESH_SETTINGS,
  ...SERVER_SETTINGS,
  ...AUDIT_SETTINGS,
  ...AUTHORITY_SETTINGS,
  ...FEDERATION_SETTINGS,
  ...AGENT_TABLE,
};

/** The name of a setting. */
export type SettingName = keyof typeof SETTINGS;

type ValueOf<D extends SettingDefinition> = D['type'] extends 'integer' | 'port' | 'duration'
  ? number
  : D['type'] extends 'boolean'
    ? boolean
    : D['type'] extends 'list'
      ? readonly string[]
      : D['choices'] extends readonly (infer Choice)[]
        ? Choice
        : string;

/** All settings, resolved: milliseconds for durations, absent only where there is no default. */
export type Settings = {
  readonly [N in SettingName]: (typeof SETTINGS)[N]['default'] extends undefined
    ? ValueOf<(typeof SETTINGS)[N]> | undefined
    : ValueOf<(typeof SETTINGS)[N]>;
};
