import { dirname, join } from 'node:path/posix';
import type { Project, TextFile, Violation } from '../project.ts';

const LINK = /\[([^\]]*)\]\(([^)\s]+)\)/g;

/** A link in a document: its text, and its target from the root with the anchor apart. */
interface Link {
  readonly text: string;
  readonly target: string;
  readonly anchor: string;
  readonly line: number;
}

function linksOf(file: TextFile): Link[] {
  let inCode = false;
  return file.lines.flatMap((lineText, index) => {
    if (/^\s*```/.test(lineText)) inCode = !inCode;
    if (inCode) return [];
    return [...lineText.replaceAll(/`[^`]*`/g, '').matchAll(LINK)].flatMap(([, text, address]) => {
      if (!address || /^[a-z]+:/.test(address)) return [];
      const [path = '', anchor = ''] = address.split('#');
      const target = path === '' ? file.path : join(dirname(file.path), decodeURIComponent(path));
      return [{ text: text ?? '', target: target.replace(/\/$/, ''), anchor, line: index + 1 }];
    });
  });
}

/** A heading's anchor as repository hosts make it. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-');
}

function anchorsOf(file: TextFile): Set<string> {
  const headings = file.lines.flatMap((line) => /^#+\s+(.*)$/.exec(line)?.[1] ?? []);
  return new Set(headings.map(anchorOf));
}

/** Links between documents lead to something. */
export function checkLinks(project: Project): Violation[] {
  const byPath = new Map(project.texts.map((file) => [file.path, file]));
  return project.texts
    .filter(({ path }) => path.endsWith('.md'))
    .flatMap((file) =>
      linksOf(file).flatMap(({ target, anchor, line }) => {
        if (!project.paths.has(target))
          return [{ path: file.path, line, message: `the link to ${target} leads nowhere` }];
        const document = byPath.get(target);
        if (anchor && document?.path.endsWith('.md') && !anchorsOf(document).has(anchor))
          return [{ path: file.path, line, message: `${target} has no heading #${anchor}` }];
        return [];
      }),
    );
}

const REQUIREMENTS = 'docs/requirements.md';
const ROW = /^\|\s*([A-Z]{2}-\d+)\s*\|(.*)\|\s*([^|]*?)\s*\|\s*$/;

/** What a check of the requirements compares with. */
export interface RequirementsOptions {
  /** Ids that must be there. */
  readonly ids: readonly string[];
  /** How many rows may be open. */
  readonly openMax: number;
}

/** The ids of the rows of a requirements table. */
export function requirementIds(markdown: string): string[] {
  return markdown.split('\n').flatMap((line) => /^\|\s*([A-Z]{2}-\d+)\s*\|/.exec(line)?.[1] ?? []);
}

/**
 * Every requirement has a row whose last cell is `open`, or links `[name of a test](its file)`: the
 * file is there and has a test of that name.
 */
export function checkRequirements(project: Project, options: RequirementsOptions): Violation[] {
  const file = project.texts.find(({ path }) => path === REQUIREMENTS);
  if (!file) return [{ path: REQUIREMENTS, line: 0, message: 'is missing' }];
  const seen = new Set<string>();
  let open = 0;
  const violations = file.lines.flatMap((text, index): Violation[] => {
    const [, id, , proof] = ROW.exec(text) ?? [];
    if (!id || proof === undefined) return [];
    const at = (message: string) => ({ path: file.path, line: index + 1, message });
    if (seen.has(id)) return [at(`${id} is there twice`)];
    seen.add(id);
    if (proof === 'open') open += 1;
    return proof === 'open' ? [] : proofProblems(project, proof, id).map(at);
  });
  const missing = options.ids.filter((id) => !seen.has(id));
  const whole = (message: string) => ({ path: file.path, line: 0, message });
  if (open > options.openMax)
    violations.push(whole(`${open} rows are open; at most ${options.openMax} may be`));
  if (open < options.openMax)
    violations.push(whole(`${open} rows are open by now: lower openRequirements in ratchet.json`));
  return [...violations, ...missing.map((id) => whole(`${id} has no row`))];
}

const ARCHITECTURE = 'ARCHITECTURE.md';

/** The page on the architecture lists every decision. */
export function checkDecisions(project: Project): Violation[] {
  const file = project.texts.find(({ path }) => path === ARCHITECTURE);
  const listed = new Set(file ? linksOf(file).map(({ target }) => target) : []);
  return [...project.paths]
    .filter((path) => /^docs\/adr\/.*\.md$/.test(path) && !listed.has(path))
    .map((path) => ({ path: ARCHITECTURE, line: 0, message: `${path} is not listed` }));
}

const ATTACKS = 'docs/attacks.md';

/** Every row of the table of attacks ends with the tests that try it. */
export function checkAttacks(project: Project): Violation[] {
  const file = project.texts.find(({ path }) => path === ATTACKS);
  if (!file) return [{ path: ATTACKS, line: 0, message: 'is missing' }];
  return file.lines.flatMap((text, index): Violation[] => {
    const [attack, , , proof] = text
      .split('|')
      .slice(1)
      .map((cell) => cell.trim());
    if (attack === undefined || proof === undefined || /^(attack|-+)$/.test(attack)) return [];
    const at = (message: string) => ({ path: file.path, line: index + 1, message });
    return proofProblems(project, proof, attack).map(at);
  });
}

function proofProblems(project: Project, proof: string, id: string): string[] {
  const links = [...proof.matchAll(LINK)];
  if (links.length === 0) return [`${id}: neither "open" nor a link to a test`];
  return links.flatMap(([, name = '', address = '']) => {
    const target = join(dirname(REQUIREMENTS), address);
    const test = project.texts.find(({ path }) => path === target);
    if (!test || !/\.test\.ts$/.test(target)) return [`${id}: ${target} is no test`];
    return test.text.includes(name) ? [] : [`${id}: ${target} has no test "${name}"`];
  });
}
