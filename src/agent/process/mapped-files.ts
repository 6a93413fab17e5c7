/** A part of a file in the memory of a process. */
export interface FileMapping {
  /** Where it begins. */
  readonly address: number;
  readonly bytes: number;
}

/** Address range, rights (`r-xp`), offset, device, number of the file, its path. */
const HEADER = /^([0-9a-f]+)-([0-9a-f]+) ([r-][w-][x-][ps]) \S+ \S+ [1-9]\d*\s+(\S.*)$/;
/** The amounts that must be there, and be zero, for a mapping to be the same as its file. */
const UNCHANGED = ['Anonymous', 'Swap', 'Locked'];

/**
 * The mappings of the file `path` that are nothing but its contents: private, not writable, and
 * with no page that was written to before, in memory or in swap. The kernel fills each page of
 * them from the file whenever it is touched, so they can be given back at any time.
 * @param smaps what `/proc/self/smaps` says (proc_pid_smaps(5))
 */
export function unchangedMappings(smaps: string, path: string): FileMapping[] {
  return smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).flatMap((entry) => {
    const [header = '', ...amounts] = entry.split('\n');
    const [, from = '', to = '', rights = '', file] = HEADER.exec(header) ?? [];
    const isOfFile = file === path && rights.startsWith('r-') && rights.endsWith('p');
    const isUnchanged = UNCHANGED.every((name) =>
      amounts.some((amount) => amount.startsWith(`${name}:`) && / 0 kB$/.test(amount)),
    );
    if (!isOfFile || !isUnchanged) return [];
    const address = Number.parseInt(from, 16);
    return [{ address, bytes: Number.parseInt(to, 16) - address }];
  });
}
