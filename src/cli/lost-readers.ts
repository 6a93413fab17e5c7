import { systemCode } from '#base/errors.ts';

/** What a process ends with that writes to a pipe which nobody reads (128 + SIGPIPE). */
const NOBODY_READS = 141;

/** The streams of a process, and how it ends. */
interface Writing {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
}

/**
 * Decides what becomes of a process whose output cannot be written: its reader went away
 * (`bulwark cert list | head -1`), or the disk is full. What runs long goes on: a mesh must not end
 * because somebody stopped reading its logs. All else ends, as programs do at SIGPIPE.
 */
export function endWithReaders(
  { stdout, stderr, exit }: Writing,
  { runsLong }: { readonly runsLong: boolean },
): void {
  // Who does not hear of errors may still take what was asked for.
  stderr.on('error', () => {});
  stdout.on('error', (error) => {
    if (runsLong) return;
    const code = systemCode(error);
    if (code === 'EPIPE') return exit(NOBODY_READS);
    stderr.write(`bulwark: cannot write the answer: ${error.message}\n`);
    exit(1);
  });
}
