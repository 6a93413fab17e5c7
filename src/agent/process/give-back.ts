import { readFileSync, readlinkSync } from 'node:fs';
import { unchangedMappings } from '#agent/process/mapped-files.ts';

/** The advice of madvise(2) that the pages are not needed, on Linux. */
const MADV_DONTNEED = 4;

/** What we call of the C library: Node has no word for it. */
interface CLibrary {
  /** `int madvise(void *, size_t, int)`: 0, or -1 when nothing was done. */
  readonly madvise: (address: number, bytes: number, advice: number) => number;
  /** `int malloc_trim(size_t)`; only the GNU C library has it. */
  readonly mallocTrim: ((keptBytes: number) => number) | undefined;
}

type Koffi = typeof import('koffi');

let library: CLibrary | undefined;

/**
 * Takes out of the memory of this process what it can do without at rest: free memory that malloc
 * keeps, and the pages of the program's own file, which come back from the page cache of the
 * machine when they are touched. Takes a few milliseconds. For Linux alone.
 * @throws Error when there is no such library for this machine, or `/proc` cannot be read
 */
export function giveBackMemory(): void {
  library ??= openCLibrary();
  library.mallocTrim?.(0);
  const program = readlinkSync('/proc/self/exe');
  // Nothing may come between what is read here and its use: both in one turn, and of a file that
  // stays mapped as long as the process lives.
  const mappings = unchangedMappings(readFileSync('/proc/self/smaps', 'latin1'), program);
  for (const { address, bytes } of mappings) library.madvise(address, bytes, MADV_DONTNEED);
}

/** Loaded when it is first wanted, since it is wanted after the start, and not everywhere. */
function openCLibrary(): CLibrary {
  const { createRequire } = process.getBuiltinModule('node:module');
  const koffi: Koffi = createRequire(import.meta.url)('koffi');
  const program = koffi.load(null);
  return {
    madvise: program.func('int madvise(uintptr_t address, size_t bytes, int advice)'),
    mallocTrim: optional(() => program.func('int malloc_trim(size_t kept)')),
  };
}

function optional<T>(find: () => T): T | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}
