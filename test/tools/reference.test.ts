// The reference pages say what the tables in the code say.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KINDS } from '#api/kinds.ts';
import { ERROR_CODES } from '#base/error-codes.ts';
import { LIMITS } from '#base/limits.ts';
import { SETTINGS } from '#base/settings-table.ts';
import { codesPage } from '../../tools/docs/codes-page.ts';
import { kindsPage } from '../../tools/docs/kinds-page.ts';
import { limitsPage } from '../../tools/docs/limits-page.ts';
import { page, table } from '../../tools/docs/markdown.ts';
import { metricsPage } from '../../tools/docs/metrics-page.ts';
import { settingsPage } from '../../tools/docs/settings-page.ts';

const rowsFor = (text: string, name: string): number =>
  text.split('\n').filter((line) => line.startsWith(`| \`${name}\` |`)).length;

describe('the reference', () => {
  test('has one row for every setting, code and limit', () => {
    for (const [text, entries] of [
      [settingsPage(), SETTINGS],
      [codesPage(), ERROR_CODES],
      [limitsPage(), LIMITS],
    ] as const) {
      for (const name of Object.keys(entries)) assert.equal(rowsFor(text, name), 1, name);
    }
  });

  test('shows flag, environment, bounds and default of a setting', () => {
    const row = settingsPage()
      .split('\n')
      .find((line) => line.startsWith('| `workloadCertTtl` |'));
    assert.match(row ?? '', /`--workload-cert-ttl` \| `BULWARK_WORKLOAD_CERT_TTL`/);
    assert.match(row ?? '', /duration from 5s to 2160h \| `24h` \| server/);
  });

  test('has a part for every kind, with its fields by path and their accepted values', () => {
    const text = kindsPage();
    for (const { kind } of KINDS) assert.ok(text.includes(`\n## ${kind}\n`), kind);
    assert.match(text, /\| `spec\.rules\[\]\.from\[\]\.source\.principals` \| list of string \|/);
    assert.match(text, /\| `spec\.mtls\.mode` \| .*`STRICT`/);
  });

  test('has the metrics of every part that declares some', async () => {
    const text = await metricsPage();
    assert.equal(rowsFor(text, 'cert_expiry_seconds'), 1);
    assert.match(text, /`num_outgoing_requests` \| counter \| `request_type` \|/);
  });

  test('keeps text from breaking out of its cell', () => {
    assert.equal(table(['a'], [['x | <b>\n`<c>`']]), '| a |\n|---|\n| x \\| \\<b> `<c>` |\n');
    assert.match(
      page('T', '`s`', ['one\n', 'two']),
      /^# T\n\n<!-- .*do not edit\. -->\n\none\n\ntwo\n$/,
    );
  });
});
