/**
 * One setting. From this entry come its environment variable, flag, key in a file, default, checks
 * and documentation.
 */
export interface SettingDefinition {
  /**
   * `duration` is in milliseconds once resolved and written like `24h`, `90s`; `port` 0 means any
   * free port.
   */
  readonly type: 'string' | 'path' | 'integer' | 'port' | 'boolean' | 'duration' | 'list';
  /** Environment names, ours first, then Istio's where the meaning is the same. */
  readonly env: readonly string[];
  /** The value in text form; undefined = not set. */
  readonly default: string | undefined;
  /** For integers: the bounds. For durations: in text form. */
  readonly min?: string;
  readonly max?: string;
  /** The accepted texts, when it is a choice; of a list, those of its items. */
  readonly choices?: readonly string[];
  readonly unit?: string;
  readonly doc: string;
  /** Which processes read it. */
  readonly scope: readonly ('server' | 'agent' | 'cli')[];
}

/** Helps TypeScript keep the literal types of a part of the table. */
export function table<const T extends Record<string, SettingDefinition>>(definitions: T): T {
  return definitions;
}
