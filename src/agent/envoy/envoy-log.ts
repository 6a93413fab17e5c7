import type { Logger } from '#base/log.ts';

/** One line of Envoy's own log. */
export interface EnvoyLogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** Envoy's component: `main`, `config`, `upstream`. */
  readonly component: string;
  readonly text: string;
}

/** Envoy's informational lines are about its own insides: debugging for us. */
const LEVELS: Readonly<Record<string, EnvoyLogLine['level']>> = {
  trace: 'debug',
  debug: 'debug',
  info: 'debug',
  warning: 'warn',
  error: 'error',
  critical: 'error',
};

/**
 * The form that lines are asked for in: Envoy escapes line breaks, quotes and control characters.
 */
export const ENVOY_LOG_FORMAT = '%l|%n|%v';

/** A line in the form of ENVOY_LOG_FORMAT; what has another form (a crash) is an error. */
export function parseEnvoyLogLine(line: string): EnvoyLogLine {
  const [level = '', component, ...text] = line.split('|');
  const known = LEVELS[level];
  if (known === undefined || component === undefined)
    return { level: 'error', component: 'output', text: line };
  return { level: known, component, text: withoutEscapes(text.join('|')) };
}

/** Writes a line of Envoy's log into ours. */
export function logEnvoyLine(log: Logger, { level, component, text }: EnvoyLogLine): void {
  log[level]('envoy', { envoyComponent: component, text });
}

/**
 * The port of `cannot bind '127.0.0.1:8080': Address already in use`; undefined for other lines.
 */
export function parseBindConflict(text: string): number | undefined {
  const match = /cannot bind '[^']*:(\d+)': Address already in use/.exec(text);
  return match ? Number(match[1]) : undefined;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

function withoutEscapes(text: string): string {
  return text.replace(/\\(.)/g, (_, letter: string) => ESCAPES[letter] ?? letter);
}
