import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CaseFilter, CaseResult } from './suite.ts';
import type { SuiteEntry } from './suites.ts';

/** What became of one suite. */
export interface SuiteReport {
  readonly name: string;
  /** Whether there was code to run it. */
  readonly built: boolean;
  readonly results: readonly CaseResult[];
}

/** Failures that are known: for each suite, case name → reason. */
export type KnownFailures = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Runs every suite whose data is in the directory; one that breaks counts as one failed case. */
export async function runSuites(
  directory: string,
  entries: readonly SuiteEntry[],
  filter: CaseFilter = {},
): Promise<SuiteReport[]> {
  const reports: SuiteReport[] = [];
  for (const { name, data, load } of entries) {
    if (!existsSync(join(directory, data))) continue;
    if (!load) {
      reports.push({ name, built: false, results: [] });
      continue;
    }
    try {
      const suite = await load();
      reports.push({ name, built: true, results: await suite.run(directory, filter) });
    } catch (error) {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      reports.push({ name, built: true, results: [{ case: '*', outcome: 'failed', detail }] });
    }
  }
  return reports;
}

/** Counts of one outcome. */
function count(results: readonly CaseResult[], outcome: CaseResult['outcome']): number {
  return results.filter((result) => result.outcome === outcome).length;
}

function totals(results: readonly CaseResult[]): string {
  const of = (outcome: CaseResult['outcome']) => `${count(results, outcome)} ${outcome}`;
  return `${of('passed')}, ${of('failed')}, ${of('skipped')}`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').slice(0, 400);
}

/** The report for a person: a line for each failed case, one for each suite, the totals last. */
export function formatText(reports: readonly SuiteReport[]): string {
  const failures = reports.flatMap(({ name, results }) =>
    results
      .filter(({ outcome }) => outcome === 'failed')
      .map((result) => `failed: ${name}: ${result.case}: ${oneLine(result.detail ?? 'no detail')}`),
  );
  const suites = reports.map(({ name, built, results }) =>
    built ? `${name}: ${totals(results)}` : `${name}: skipped-not-built`,
  );
  const all = reports.flatMap(({ results }) => results);
  return `${[...failures, ...suites, totals(all)].join('\n')}\n`;
}

/** The same as data. */
export function formatJson(reports: readonly SuiteReport[]): string {
  const numbers = (results: readonly CaseResult[]) => ({
    passed: count(results, 'passed'),
    failed: count(results, 'failed'),
    skipped: count(results, 'skipped'),
  });
  const suites = reports.map(({ name, built, results }) => {
    const failures = results
      .filter(({ outcome }) => outcome === 'failed')
      .map((result) => ({ case: result.case, detail: result.detail ?? '' }));
    return [name, { ...numbers(results), failures, ...(built ? {} : { notBuilt: true }) }];
  });
  const all = numbers(reports.flatMap(({ results }) => results));
  return `${JSON.stringify({ suites: Object.fromEntries(suites), ...all }, null, 2)}\n`;
}

/**
 * Compares with the known failures: one sentence for each failure that is not listed, and for each
 * listed case of a suite that ran and did not fail. No sentence = all is as known.
 */
export function surprises(reports: readonly SuiteReport[], known: KnownFailures): string[] {
  return reports
    .filter(({ built }) => built)
    .flatMap(({ name, results }) => {
      const listed = known[name] ?? {};
      const failed = results.filter(({ outcome }) => outcome === 'failed');
      const failedNames = new Set(failed.map((result) => result.case));
      return [
        ...failed
          .filter((result) => !(result.case in listed))
          .map((result) => `${name}: ${result.case} fails and is not a known failure`),
        ...Object.keys(listed)
          .filter((caseName) => !failedNames.has(caseName))
          .map((caseName) => `${name}: ${caseName} is listed as a known failure and does not fail`),
      ];
    });
}

/** The known failures of cases that ran; for a run of some cases only. */
export function knownOf(reports: readonly SuiteReport[], known: KnownFailures): KnownFailures {
  const ran = new Map(reports.map(({ name, results }) => [name, new Set(results.map(caseOf))]));
  const entries = Object.entries(known).map(([suite, cases]) => {
    const kept = Object.entries(cases).filter(([name]) => ran.get(suite)?.has(name));
    return [suite, Object.fromEntries(kept)] as const;
  });
  return Object.fromEntries(entries);
}

function caseOf(result: CaseResult): string {
  return result.case;
}

/**
 * Reads a list of known failures.
 * @throws Error when it is not of the form `{suite: {case: reason}}`, or a reason is empty
 */
export function parseKnown(text: string): KnownFailures {
  const known: unknown = JSON.parse(text);
  if (!isRecord(known)) throw new Error('known failures: want {suite: {case: reason}}');
  for (const [suite, cases] of Object.entries(known)) {
    if (!isRecord(cases)) throw new Error(`known failures: "${suite}" is no map of cases`);
    for (const [name, reason] of Object.entries(cases)) {
      if (typeof reason !== 'string' || reason === '')
        throw new Error(`known failures: ${suite}, ${name} has no reason`);
    }
  }
  return known as KnownFailures;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
