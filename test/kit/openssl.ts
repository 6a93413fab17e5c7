import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { temporaryDirectory } from './temp-directory.ts';

const run = promisify(execFile);

/** A chain for the `openssl` command, PEM. */
export interface OpensslChain {
  readonly leaf: string;
  readonly intermediates?: readonly string[];
  readonly roots: readonly string[];
  /** Wall-clock milliseconds; now when left out. */
  readonly at?: number;
}

/**
 * What the `openssl` command says of a chain, as a second opinion: `ok`, or the reason for its
 * refusal.
 */
export async function opensslVerify(
  test: Pick<TestContext, 'after'>,
  { leaf, intermediates = [], roots, at = Date.now() }: OpensslChain,
): Promise<string> {
  const directory = temporaryDirectory(test);
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const untrusted = intermediates.length
    ? ['-untrusted', file('chain.pem', intermediates.join(''))]
    : [];
  const time = ['-attime', String(Math.floor(at / 1000))];
  const trust = ['-CAfile', file('roots.pem', roots.join('')), '-no-CApath', '-x509_strict'];
  const args = ['verify', ...time, ...trust, ...untrusted, file('leaf.pem', leaf)];
  try {
    const { stdout } = await run('openssl', args);
    return stdout.trim().endsWith(': OK') ? 'ok' : stdout;
  } catch (error) {
    return String((error as { stderr?: string }).stderr);
  }
}
