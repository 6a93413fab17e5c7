import type { SettingDefinition } from '#base/settings/definition.ts';
import { flagOf } from '#base/settings.ts';
import { SETTINGS, type SettingName } from '#base/settings-table.ts';
import { code, page, table } from './markdown.ts';

const INTRODUCTION = `
A setting comes from the command line, else from an environment variable, else from the file that \`--settings\` names
(YAML, the names of the first column as keys), else it has its default. A wrong value is refused with a message that
says where it came from and what is accepted.
`;

function accepted({ type, choices, min, max, unit }: SettingDefinition): string {
  if (choices) return choices.map(code).join(' ');
  const range = [min && `from ${min}`, max && `to ${max}`].filter(Boolean).join(' ');
  return [type, range, unit && `(${unit})`].filter(Boolean).join(' ');
}

/** docs/reference/settings.md */
export function settingsPage(): string {
  const names = Object.keys(SETTINGS) as SettingName[];
  const rows = names.map((name) => {
    const definition: SettingDefinition = SETTINGS[name];
    return [
      code(name),
      code(flagOf(name)),
      definition.env.map(code).join(' '),
      accepted(definition),
      code(definition.default) || 'none',
      definition.scope.join(', '),
      definition.doc,
    ];
  });
  const head = ['setting', 'flag', 'environment', 'accepted', 'default', 'read by', 'what it is'];
  return page('Settings', '`src/base/settings/`', [INTRODUCTION.trim(), table(head, rows)]);
}
