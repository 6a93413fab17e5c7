// Templates are filled in as Go would, and what is not known is an error, not an empty text.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderTemplate } from './template.ts';

const VALUES = {
  Namespace: 'ns1',
  To: { PortForName: (name: string) => ({ WorkloadPort: name === 'http' ? 80 : 90 }) },
};

test('names and functions are filled in', () => {
  assert.equal(renderTemplate('a: {{ .Namespace }}', VALUES), 'a: ns1');
  const call =
    '["{{ (.To.PortForName `http`).WorkloadPort }}", {{(.To.PortForName "x").WorkloadPort}}]';
  assert.equal(renderTemplate(call, VALUES), '["80", 90]');
});

test('dashes take space away', () => {
  assert.equal(renderTemplate('a\n  {{- .Namespace }} b', VALUES), 'ans1 b');
  assert.equal(renderTemplate('a {{ .Namespace -}}\n b', VALUES), 'a ns1b');
});

test('what is not known is not passed over', () => {
  assert.throws(() => renderTemplate('{{ .Other }}', VALUES), /has no \.Other/);
  assert.throws(() => renderTemplate('{{ range .Hosts }}', VALUES), /not built/);
  assert.throws(() => renderTemplate('{{ .To }}', VALUES), /not built/);
});
