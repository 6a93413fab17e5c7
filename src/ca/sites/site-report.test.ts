import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { encodeSiteReport, readSiteReport, type SiteReport } from '#ca/sites/site-report.ts';

const REPORT: SiteReport = {
  trusted: ['ab', 'cd'],
  standsOn: ['ab', ''],
  missingCount: 12,
  missing: [{ name: 'web.shop', reason: 'it has not taken the roots yet' }],
};

describe('the report of a server below', () => {
  it('survives the way, without what does not belong there', () => {
    assert.deepEqual(readSiteReport(encodeSiteReport(REPORT)), REPORT);
    const more = { ...REPORT, missing: [{ ...REPORT.missing[0], extra: 1 }], other: true };
    assert.deepEqual(readSiteReport(JSON.stringify(more)), REPORT);
    assert.equal(readSiteReport(''), undefined);
  });

  it('is refused when it is none', () => {
    const wrong = [
      'no JSON',
      'null',
      '[]',
      ...[
        { trusted: 'ab' },
        { trusted: [1] },
        { standsOn: undefined },
        { missingCount: 1.5 },
        { missing: [null] },
        { missing: [{ name: 'x' }] },
        { missing: Array.from({ length: 11 }, () => REPORT.missing[0]) },
        { trusted: Array.from({ length: 33 }, String) },
        { trusted: ['x'.repeat(513)] },
      ].map((change) => JSON.stringify({ ...REPORT, ...change })),
      `${' '.repeat(20_000)}${JSON.stringify(REPORT)}`,
    ];
    for (const text of wrong)
      assert.throws(
        () => readSiteReport(text),
        (error) => isBulwarkError(error, 'CA_CSR_INVALID'),
        text.slice(0, 80),
      );
  });
});
