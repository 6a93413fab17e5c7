import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { caseNames } from '../case-names.ts';
import type { CaseResult, ConformanceSuite } from '../suite.ts';
import { type BehaviourLine, newRows, oldRows } from './behaviour/behaviour-row.ts';
import { decideRow, type RowDecision } from './behaviour/decide-row.ts';
import { verdictsOfEnvoy } from './behaviour/envoy-verdicts.ts';
import { TokenTable } from './behaviour/tokens.ts';

const TABLES = [
  ['authz_behaviour_1.5.10.tsv', oldRows],
  ['authz_behaviour_HEAD.tsv', newRows],
] as const;

/**
 * Policies and a request → allow, deny or a status: decided offline, and all that needs no token
 * by the real Envoy too.
 */
export const suite: ConformanceSuite = {
  name: 'behaviour',
  run: async (directory) => {
    const folder = join(directory, 'behaviour');
    const tokens = new TokenTable(directory);
    const unique = caseNames();
    const lines = TABLES.flatMap(([file, read]) => {
      const path = join(folder, file);
      return existsSync(path) ? read(readFileSync(path, 'utf8')) : [];
    });
    const judged: Judged[] = [];
    for (const line of lines) {
      const name = unique(line.name);
      judged.push({ name, ...(await judge(line, folder, tokens)) });
    }
    const envoys = await verdictsOfEnvoy(judged.flatMap(({ decisions }) => decisions ?? []));
    return judged.map(({ name, outcome, detail, decisions = [] }) => {
      const differing = decisions.find((one) => (envoys.get(one) ?? one.verdict) !== one.verdict);
      if (differing === undefined) return { case: name, outcome, ...(detail && { detail }) };
      const said = `decided: ${differing.verdict}, the real Envoy: ${envoys.get(differing)}`;
      return { case: name, outcome: 'failed', detail: said };
    });
  },
};

interface Judged extends Omit<CaseResult, 'case'> {
  readonly name: string;
  readonly decisions?: readonly RowDecision[];
}

async function judge(
  line: BehaviourLine,
  folder: string,
  tokens: TokenTable,
): Promise<Omit<Judged, 'name'>> {
  if ('problem' in line) return { outcome: 'failed', detail: line.problem };
  const { row } = line;
  if (row.expect === undefined)
    return { outcome: 'skipped', detail: 'what is expected is a name of the source' };
  try {
    const decisions = await decideRow(row, folder, tokens);
    const wrong = decisions.find(({ asWanted }) => !asWanted);
    if (wrong === undefined) return { outcome: 'passed', decisions };
    const detail = `${wrong.call}: want ${wrong.wanted}, got: ${wrong.reason}`;
    return { outcome: 'failed', detail, decisions };
  } catch (error) {
    return { outcome: 'failed', detail: error instanceof Error ? error.message : String(error) };
  }
}
