import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

const read = (path: string): string =>
  readFileSync(new URL(`../../docs/${path}`, import.meta.url), 'utf8');

const { groups } = parse(read('alerts/prometheus.yaml')) as {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);

/** Words of PromQL that look like names of metrics. */
const WORDS = new Set(['and', 'or', 'increase', 'time', 'm', 'h']);

/** The metrics that an expression looks at. */
function metricsIn(expr: string): readonly string[] {
  const names = expr.replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, '').match(/[a-z_]+/g) ?? [];
  return names.filter((name) => !WORDS.has(name));
}

test('every metric that an alert looks at exists', () => {
  const known = new Set(
    [...read('reference/metrics.md').matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name),
  );
  for (const { alert, expr } of rules) {
    const names = metricsIn(expr);
    assert.ok(names.length > 0, alert);
    for (const name of names) assert.ok(known.has(name), `${alert}: there is no metric ${name}`);
  }
});

test('every alert has a name of its own, a severity, and says what to do', () => {
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
  for (const { alert, labels, annotations } of rules) {
    assert.match(labels.severity, /^(info|warning|critical)$/, alert);
    assert.ok(annotations.summary && annotations.description, alert);
  }
});

test('a root is warned about at 50, 80 and 95 % of its life, one warning at a time', () => {
  const bounds = rules
    .filter(({ expr }) => expr.includes('life_used_ratio'))
    .map(({ expr }) => [...expr.matchAll(/[<>]=? ([\d.]+)/g)].map(([, bound]) => Number(bound)));
  assert.deepEqual(bounds, [[0.5, 0.8], [0.8, 0.95], [0.95]]);
});
