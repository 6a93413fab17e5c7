import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/**
 * A private directory for one test, removed after it, also when it failed. The path is short enough
 * for sockets.
 */
export function temporaryDirectory(test: Pick<TestContext, 'after'>): string {
  const path = mkdtempSync(join(tmpdir(), 'bw-'));
  test.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
