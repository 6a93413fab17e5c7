// npm run conformance -- DIR [--suite NAME]… [--family NAME,…] [--json] [--known FILE]
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { formatJson, formatText, knownOf, parseKnown, runSuites, surprises } from './runner.ts';
import { SUITES, type SuiteEntry } from './suites.ts';

/** A command line that makes no sense. */
const USAGE = 64;

/** The suites asked for; all when none was named. */
function chosen(names: readonly string[]): readonly SuiteEntry[] {
  const unknown = names.find((name) => !SUITES.some((entry) => entry.name === name));
  if (unknown !== undefined) {
    const all = SUITES.map(({ name }) => name).join(', ');
    throw new Error(`there is no suite "${unknown}"; there are ${all}`);
  }
  return SUITES.filter(({ name }) => names.length === 0 || names.includes(name));
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      suite: { type: 'string', multiple: true },
      family: { type: 'string' },
      json: { type: 'boolean' },
      known: { type: 'string' },
    },
  });
  const [directory, ...rest] = positionals;
  if (directory === undefined || rest.length > 0)
    throw new Error(
      'usage: npm run conformance -- DIR [--suite NAME] [--family NAME,…] [--json] [--known FILE]',
    );
  if (!existsSync(directory)) throw new Error(`there is no folder ${directory}`);
  const entries = chosen(values.suite ?? []);
  const families = values.family?.split(',');
  const reports = await runSuites(resolve(directory), entries, { families });
  const listed = values.known === undefined ? {} : parseKnown(readFileSync(values.known, 'utf8'));
  const unexpected = surprises(reports, families ? knownOf(reports, listed) : listed);
  if (values.known !== undefined)
    process.stderr.write(unexpected.map((sentence) => `conformance: ${sentence}\n`).join(''));
  process.stdout.write(values.json ? formatJson(reports) : formatText(reports));
  return unexpected.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`conformance: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = USAGE;
}
