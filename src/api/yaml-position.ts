import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type Document as YamlDocument,
} from 'yaml';
import { MERGE_KEY } from '#api/yaml-value.ts';

/** `.name`, `name` or `[key]`; a key in brackets may hold dots and slashes. */
const STEP = /\.?([^.[\]]+)|\[([^\]]*)\]/y;

/** `spec.rules[0].to` → `spec`, `rules`, `0`, `to`. */
function stepsOf(field: string): string[] {
  const step = new RegExp(STEP);
  const steps: string[] = [];
  for (let match = step.exec(field); match !== null; match = step.exec(field)) {
    steps.push(match[1] ?? match[2] ?? '');
  }
  return steps;
}

function target(node: unknown, document: YamlDocument.Parsed): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | null)?.range?.[0];
}

/** The pair of a map with this key; also one that a merge brings in. */
function pairOf(pairs: readonly Pair[], key: string): Pair | undefined {
  return pairs.find(({ key: node }) => isScalar(node) && String(node.value) === key);
}

/**
 * Offset of a field in its document, in characters; of the innermost part that is there, when the
 * field itself is not. `root` = fields before the path, for an object inside a list.
 */
export function fieldOffset(
  document: YamlDocument.Parsed,
  root: readonly string[],
  field: string,
): number {
  let node = target(document.contents, document);
  let offset = offsetOf(node) ?? document.range[0];
  for (const step of [...root, ...stepsOf(field)]) {
    if (isMap(node)) {
      const pair = pairOf(node.items, step);
      if (pair === undefined) {
        // What a merge brings in is told where the merge stands.
        return offsetOf(pairOf(node.items, MERGE_KEY)?.key) ?? offset;
      }
      offset = offsetOf(pair.key) ?? offset;
      node = target(pair.value, document);
    } else if (isSeq(node)) {
      const item = node.items[Number(step)];
      if (item === undefined) return offset;
      offset = offsetOf(item) ?? offset;
      node = target(item, document);
    } else return offset;
  }
  return offset;
}
