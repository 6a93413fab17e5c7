import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * Rooms without time, randomness and sockets: their tests cannot disturb each other, and to start a
 * process for each costs more than they do.
 */
const PURE_ROOMS = ['admin', 'api', 'mixer', 'model', 'policy', 'spiffe', 'xds/generate'];
/** Several for each processor, so that all are busy to the end. */
const BATCH_FILES_MAX = 24;

/** Whether tests of the file may share a process with others. */
function isPure(path: string): boolean {
  return PURE_ROOMS.some((room) => path.startsWith(`src/${room}/`));
}

/**
 * The files to run in place of these, each in a process: one file stands for many of those that can
 * share a process. It comes where the first of them stood.
 * @param files paths from `root`
 * @param directory where files may be written
 * @returns absolute paths
 */
export function inBatches(
  files: readonly string[],
  { root, directory }: { readonly root: string; readonly directory: string },
): readonly string[] {
  const pure = files.filter(isPure);
  const batches = Array.from({ length: Math.ceil(pure.length / BATCH_FILES_MAX) }, (_, at) => {
    const batch = pure.slice(at * BATCH_FILES_MAX, (at + 1) * BATCH_FILES_MAX);
    const path = join(directory, `batch-${at + 1}.test.mjs`);
    writeFileSync(path, batch.map((file) => importOf(join(root, file))).join(''));
    return path;
  });
  const others = files.filter((file) => !isPure(file)).map((file) => join(root, file));
  const before = files.findIndex(isPure);
  return before < 0 ? others : others.toSpliced(before, 0, ...batches);
}

function importOf(path: string): string {
  return `await import(${JSON.stringify(pathToFileURL(path).href)});\n`;
}
