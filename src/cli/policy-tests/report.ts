import { relative } from 'node:path';
import type { CaseResult, SuiteResult, WrittenRule } from '#cli/policy-tests/run-suite.ts';
import { shownObject } from '#policy/decide/layer.ts';

/** The ways in which results can be written. */
export const REPORTS = { text, junit, tap, github } as const;

/** The name of a way. */
export type ReportFormat = keyof typeof REPORTS;

/** How many rules there are, and those that no case exercises. */
export interface Coverage {
  readonly rules: number;
  readonly missed: readonly WrittenRule[];
  /** 100 where there is no rule. */
  readonly percent: number;
}

/** A rule is exercised when a call of any suite meets it. */
export function coverageOf(results: readonly SuiteResult[]): Coverage {
  const exercised = new Set(results.flatMap((result) => [...result.exercised]));
  const rules = new Map(
    results.flatMap((result) => result.rules.map((rule) => [rule.name, rule] as const)),
  );
  const missed = [...rules.values()].filter(({ name }) => !exercised.has(name));
  const { size } = rules;
  const percent = size === 0 ? 100 : Math.floor((100 * (size - missed.length)) / size);
  return { rules: size, missed, percent };
}

/** Cases that are not as expected. */
export function failedCases(results: readonly SuiteResult[]): readonly CaseResult[] {
  return results.flatMap(({ cases }) => cases.filter(({ failures }) => failures.length > 0));
}

function text(results: readonly SuiteResult[]): string {
  const suites = results.flatMap(({ file, cases }) => [
    shortPath(file),
    ...cases.flatMap(({ test, failures, skipped }) => [
      failures.length === 0 ? `  ok    ${test.name}` : `  FAIL  ${test.name} (line ${test.line})`,
      ...failures.map((failure) => `        ${failure}`),
      ...skipped.map((reason) => `        not tried: ${reason}`),
    ]),
  ]);
  const count = results.flatMap(({ cases }) => cases).length;
  const failed = failedCases(results).length;
  const outcome = failed === 0 ? 'all as expected' : `${failed} not as expected`;
  const lines = [...suites, '', `${count} cases, ${outcome}`, ...coverageLines(results)];
  return `${lines.join('\n')}\n`;
}

function coverageLines(results: readonly SuiteResult[]): readonly string[] {
  const { rules, missed, percent } = coverageOf(results);
  if (rules === 0) return ['There are no rules.'];
  const list = missed.map((rule) => `  ${ruleText(rule)}`);
  const title = `Rules exercised: ${rules - missed.length} of ${rules} (${percent} %)`;
  return list.length === 0 ? [title] : [title, 'No case exercises:', ...list];
}

function ruleText({ object, field, place }: WrittenRule): string {
  const at = place === undefined ? '' : ` (${shortPath(place.file)}:${place.line})`;
  return `${shownObject(object)} ${field}${at}`;
}

function junit(results: readonly SuiteResult[]): string {
  const suites = results.map(({ file, cases }) => {
    const name = xml(shortPath(file));
    const failed = cases.filter(({ failures }) => failures.length > 0).length;
    const body = cases.map(({ test, failures, skipped }) => {
      const tag = `    <testcase classname="${name}" name="${xml(test.name)}"`;
      const [reason] = skipped;
      if (failures.length === 0)
        return reason === undefined
          ? `${tag}/>`
          : `${tag}><skipped message="${xml(reason)}"/></testcase>`;
      const message = `<failure message="${xml(failures[0] ?? '')}">${xml(failures.join('\n'))}`;
      return `${tag}>${message}</failure></testcase>`;
    });
    const counts = `tests="${cases.length}" failures="${failed}"`;
    return [`  <testsuite name="${name}" ${counts}>`, ...body, '  </testsuite>'].join('\n');
  });
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>';
  return `${[head, ...suites, '</testsuites>'].join('\n')}\n`;
}

/** Test Anything Protocol, version 13. */
function tap(results: readonly SuiteResult[]): string {
  const cases = results.flatMap((result) => result.cases);
  const lines = cases.flatMap(({ test, failures, skipped }, index) => {
    const outcome = failures.length === 0 ? 'ok' : 'not ok';
    const skip = failures.length === 0 && skipped[0] !== undefined ? ` # SKIP ${skipped[0]}` : '';
    return [
      `${outcome} ${index + 1} - ${test.name.replaceAll('#', '')}${skip}`,
      ...failures.map((failure) => `# ${failure}`),
    ];
  });
  return `${['TAP version 13', `1..${cases.length}`, ...lines].join('\n')}\n`;
}

/** Workflow commands of GitHub Actions, which it shows beside the line of the file. */
function github(results: readonly SuiteResult[]): string {
  const errors = results.flatMap(({ file, cases }) =>
    cases.flatMap(({ test, failures }) =>
      failures.map((failure) =>
        annotation('error', shortPath(file), test.line, `${test.name}: ${failure}`),
      ),
    ),
  );
  const warnings = coverageOf(results).missed.flatMap(({ object, field, place }) => {
    if (place === undefined) return [];
    const message = `no case exercises ${shownObject(object)} ${field}`;
    return [annotation('warning', shortPath(place.file), place.line, message)];
  });
  return [...errors, ...warnings].map((line) => `${line}\n`).join('');
}

function annotation(level: 'error' | 'warning', file: string, line: number, message: string) {
  const property = (value: string) => escaped(value).replaceAll(':', '%3A').replaceAll(',', '%2C');
  return `::${level} file=${property(file)},line=${line}::${escaped(message)}`;
}

function escaped(value: string): string {
  return value.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

const XML_ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
};

function xml(value: string): string {
  // Other control characters cannot be in XML at all.
  const printable = value.replaceAll(/[^\P{Cc}\n\t]/gu, '?');
  return printable.replaceAll(/[&<>"\n]/g, (character) => XML_ESCAPES[character] ?? character);
}

function shortPath(file: string): string {
  const path = relative('', file);
  return path.startsWith('..') ? file : path;
}
