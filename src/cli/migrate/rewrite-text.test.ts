// Older documents give way to new ones; all other bytes and all comments stay.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ApiObject } from '#api/object.ts';
import { rewriteText } from '#cli/migrate/rewrite-text.ts';
import { chunksOf } from '#cli/migrate/yaml-chunks.ts';

const NEW = {
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { mtls: { mode: 'STRICT' } },
};

function placed(line: number, made: readonly object[] = [NEW], merged: readonly string[] = []) {
  return { kind: 'Policy', name: 'web', line, made: made as readonly ApiObject[], merged };
}

const OLD = `# why there is one
kind: Policy
metadata:
  name: web # the frontend
  # of a team
  labels: {team: a}
spec:
  # targets
  targets: [{name: web}] # one
  peers:
    - mtls: {} # strict
# the end
`;

test('a text is the sum of its documents', () => {
  const line = fc.constantFrom(
    '---',
    '--- # x',
    '--- {a: 1}',
    '----',
    ' ---',
    'a: |',
    '  ---',
    '...',
    '',
  );
  fc.assert(
    fc.property(fc.array(line), fc.constantFrom('\n', '\r\n', ''), (lines, end) => {
      const text = lines.join(end === '' ? '\n' : end) + end;
      const chunks = chunksOf(text);
      assert.equal(chunks.map(({ head, body }) => head + body).join(''), text);
    }),
  );
});

test('other documents stay as they are, byte by byte', () => {
  const before = '%YAML 1.2\n---   # first\nkind:   Other\r\nx:  [ 1,2 ]\n';
  const after = '---\nkind: Last   \n\n\n';
  const { text } = rewriteText(`${before}---\n${OLD}${after}`, [placed(7)]);
  assert.ok(text.startsWith(`${before}---\n`));
  assert.ok(text.endsWith(after));
  assert.match(text, /kind: PeerAuthentication/);
  assert.doesNotMatch(text, /kind: Policy/);
});

test('a document that only `...` divides from the one before it stays', () => {
  const next = 'kind: Other\nx: 1\n';
  const first = rewriteText(`${OLD}...\n${next}`, [placed(7)]);
  assert.match(first.text, /kind: PeerAuthentication/);
  assert.ok(first.text.endsWith(`\n...\n${next}`), first.text);
  const second = rewriteText(`${next}... # end\n${OLD}`, [placed(9)]);
  assert.ok(second.text.startsWith(`${next}... # end\n`), second.text);
  assert.match(second.text, /kind: PeerAuthentication/);
  assert.doesNotMatch(second.text, /kind: Policy/);
});

test('every comment stays, next to what takes over the meaning', () => {
  const tokens = { ...NEW, kind: 'RequestAuthentication', spec: { jwtRules: [] } };
  const old = OLD.replace('# the end', '  origins: [] # whose tokens\n# the end');
  const { text } = rewriteText(old, [placed(1, [tokens, NEW], ['# of another\nkind: Policy\n'])]);
  const comments = [...old.matchAll(/# (.*)/g)].map(([, comment]) => comment ?? '');
  for (const comment of [...comments, 'of another']) assert.ok(text.includes(`# ${comment}`), text);
  const [first = '', second = ''] = text.split('---\n');
  assert.match(first, /# whose tokens\n(# .*\n)*spec:/);
  assert.match(second, /# strict\n(# .*\n)*spec:/);
  assert.match(first, /name: web # the frontend\n {2}# of a team\n {2}labels:/);
});

test('anchors and aliases do not outlive their document', () => {
  const metadata = 'metadata: &m # of the web\n  name: &n web\n';
  const old = `kind: Policy\n${metadata}spec:\n  targets: [{name: *n}]\n`;
  const { text } = rewriteText(old, [placed(1)]);
  assert.doesNotMatch(text, /[&*]/);
  assert.match(text, /^# of the web\n/);
});

test('annotations are those of the new object, next to the comments of the older one', () => {
  const annotations = { kept: 'yes', 'istio.io/dry-run': 'true' };
  const object = { ...NEW, metadata: { ...NEW.metadata, annotations } };
  const old =
    'kind: Policy\nmetadata:\n  name: web\n  uid: x\n  annotations:\n    # why\n    kept: "yes"\n    gone: x\n';
  const { text } = rewriteText(old, [placed(1, [object])]);
  assert.match(text, /annotations:\n {4}# why\n {4}kept: "yes"\n {4}istio.io\/dry-run: "true"\n/);
  assert.doesNotMatch(text, /gone|uid/);
  const bare = rewriteText('kind: Policy\nmetadata: {name: web}\n', [placed(1, [object])]).text;
  assert.match(bare, /istio.io\/dry-run: "true"/);
  const none = rewriteText(old, [placed(1)]).text;
  assert.doesNotMatch(none, /annotations/);
});

test('words that YAML 1.1 takes for something else are quoted', () => {
  const matchLabels = { on: 'yes', n: '0644', port: '80', at: '12:30', none: '~', e: '1e3' };
  const object = { ...NEW, spec: { selector: { matchLabels } } };
  const { text } = rewriteText(OLD, [placed(1, [object])]);
  assert.match(text, /"on": "yes"/);
  assert.match(text, /"0644"/);
});

test('an object in a list is not rewritten, and is told', () => {
  const list = `kind: List\nitems:\n- kind: Policy\n  metadata: {name: web}\n`;
  const { text, misplaced } = rewriteText(list, [placed(3)]);
  assert.equal(text, list);
  assert.equal(misplaced.length, 1);
});

test('what nothing comes of goes with its document', () => {
  const { text } = rewriteText(`a: 1\n---\n${OLD}---\nb: 2\n`, [placed(4, [])]);
  assert.equal(text, 'a: 1\n---\nb: 2\n');
});
