/**
 * What became of one case. `skipped` is only for kinds that the README of the data lists as out of
 * scope.
 */
export interface CaseResult {
  /** Unique within its suite. */
  readonly case: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** For a failure its first difference, for a skip the reason. */
  readonly detail?: string;
}

/** Which cases of a suite are to be run. */
export interface CaseFilter {
  /** Families, for suites that have any; absent = all. */
  readonly families?: readonly string[] | undefined;
}

/** One suite of the conformance data. */
export interface ConformanceSuite {
  /** As in the README of the data: `authz`. */
  readonly name: string;
  /**
   * Runs every case found under `directory`, the folder that holds all suites. Never throws for a
   * failing case.
   */
  run(directory: string, filter?: CaseFilter): Promise<readonly CaseResult[]>;
}
