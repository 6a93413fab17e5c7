import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { delay, systemClock } from '#base/clock.ts';

/** Editors write a file in several steps. */
const SETTLE_MS = 100;

/** Resolves when something in one of the folders, or beside one of the files, changed. */
export async function untilChanged(names: readonly string[], signal: AbortSignal): Promise<void> {
  // A file is often replaced and not written to, which only its folder sees.
  const folders = await Promise.all(
    names.map(async (name) => {
      const found = await stat(name).catch(() => undefined);
      return found?.isDirectory() ? name : dirname(name);
    }),
  );
  const watchers: FSWatcher[] = [];
  try {
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
      for (const folder of new Set(folders)) watchers.push(watch(folder, () => resolve()));
    });
  } finally {
    for (const watcher of watchers) watcher.close();
  }
  await delay(systemClock, SETTLE_MS, signal);
}
