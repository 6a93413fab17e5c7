import type { Logger } from '#base/log.ts';

/** What a command gets from the world; the launcher gives the real one, tests their own. */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For data. */
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  /** For progress, logs and errors. */
  readonly stderr: NodeJS.WritableStream;
  /** Aborts when the user or the system asks the process to end (SIGINT, SIGTERM, SIGHUP). */
  readonly signal: AbortSignal;
  /** A logger on standard error at the level of the settings. */
  logger(level: string): Logger;
}

/** How a command ends. Anything else is thrown. */
export const EXIT = {
  ok: 0,
  failed: 1,
  /** The answer is no: a call is denied, a test of policies fails, two meshes differ. */
  denied: 3,
  /** What was applied is not enforced everywhere, or not within the time. */
  behind: 4,
  /** The command line is wrong (sysexits EX_USAGE). */
  usage: 64,
  /** What was given to be checked is wrong (sysexits EX_DATAERR). */
  data: 65,
} as const;
