/** Facts beside a log message; `error` takes an Error and is written with code, cause and stack. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * A structured logger. Text that came over the network belongs into fields at `debug`, not into
 * messages.
 */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to every line. */
  child(fields: LogFields): Logger;
}

/** Log levels, most talkative first. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
/** One of them. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Where lines go: one JSON text with its line end for each call. */
export interface LogSink {
  write(line: string): void;
  /** Called after warnings and errors, for a sink that gathers lines. */
  flush?(): void;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Standard error when left out: standard output is for data. */
  readonly sink?: LogSink;
  /** Fields of every line, such as the component. */
  readonly fields?: LogFields;
}

const SECRETS: readonly [RegExp, string][] = [
  [
    /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g,
    '[redacted key]',
  ],
  [/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, '[redacted token]'],
  [/\b(bwj_[a-z0-9-]+_[0-9a-f]{16})_[\w-]+/g, '$1_[redacted]'],
  [/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, '$1 [redacted]'],
];

/** What all of them begin with: one look at a text that has none of it. */
const SUSPICIOUS = /-----BEGIN|\beyJ|\bbwj_|\bbearer|\bbasic/i;

/** Names of fields whose value is never written. */
const SECRET_FIELD = /^(authorization|cookie|set-cookie|password|privatekey|secret|token|key)$/i;
const DEPTH_MAX = 6;
const TEXT_LENGTH_MAX = 8192;

/** Text with everything that looks like key material or a token taken out. */
function redactText(text: string): string {
  let result = text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text;
  if (!SUSPICIOUS.test(result)) return result;
  for (const [pattern, replacement] of SECRETS) result = result.replace(pattern, replacement);
  return result;
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (value === null || typeof value !== 'object') return value;
  if (depth >= DEPTH_MAX) return '[deep]';
  if (value instanceof Error) return redactError(value, depth);
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  if ('toJSON' in value && typeof value.toJSON === 'function')
    return redactValue(value.toJSON(), depth + 1);
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  return redactFields(value as LogFields, depth + 1);
}

function redactError(error: Error, depth: number): LogFields {
  const { name, message, stack, cause } = error;
  const own = Object.fromEntries(
    Object.entries(error).filter(([key]) => key === 'code' || key === 'data' || key === 'remedy'),
  );
  const rest = { ...own, ...(cause === undefined ? {} : { cause }) };
  const text = { name, message: redactText(message), stack: redactText(stack ?? '') };
  return { ...text, ...redactFields(rest, depth + 1) };
}

function redactFields(fields: LogFields, depth: number): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      SECRET_FIELD.test(key) ? '[redacted]' : redactValue(value, depth),
    ]),
  );
}

/**
 * Standard error. The lines of one turn of the event loop go out in one write, which would cost
 * each of them more than making it; none is lost when the process ends by itself.
 */
class StandardError implements LogSink {
  #lines = '';

  constructor() {
    process.once('exit', () => this.flush());
  }

  write(line: string): void {
    if (this.#lines === '') setImmediate(() => this.flush());
    this.#lines += line;
  }

  flush(): void {
    const lines = this.#lines;
    if (lines === '') return;
    this.#lines = '';
    process.stderr.write(lines);
  }
}

const standardError = new StandardError();

/** A logger that writes JSON lines `{level, time, component, msg, …}` with secrets taken out. */
export function createLogger({ level, sink, fields }: LoggerOptions): Logger {
  const target = { sink: sink ?? standardError, least: LOG_LEVELS.indexOf(level) };
  return wrap(target, redactFields(fields ?? {}, 0));
}

/** Where lines go, and the place in LOG_LEVELS of the least important that are written. */
interface Target {
  readonly sink: LogSink;
  readonly least: number;
}

function wrap(target: Target, bound: LogFields): Logger {
  const { sink, least } = target;
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => {
    const isWritten = LOG_LEVELS.indexOf(level) >= least;
    const isUrgent = level === 'warn' || level === 'error';
    return (message: string, fields?: LogFields): void => {
      if (!isWritten) return;
      const time = new Date().toISOString();
      const facts = fields ? { ...bound, ...redactFields(fields, 0) } : bound;
      // What is left after redaction are plain values, of bounded depth.
      sink.write(`${JSON.stringify({ level, time, ...facts, msg: redactText(message) })}\n`);
      if (isUrgent) sink.flush?.();
    };
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => wrap(target, { ...bound, ...redactFields(fields, 0) }),
  };
}

/** A logger that says nothing, for tests and tools. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
