import { cliPage } from './cli-page.ts';
import { codesPage } from './codes-page.ts';
import { kindsPage } from './kinds-page.ts';
import { limitsPage } from './limits-page.ts';
import { metricsPage } from './metrics-page.ts';
import { settingsPage } from './settings-page.ts';

/** The generated pages by path from the root. */
export async function referencePages(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['docs/reference/cli.md', await cliPage()],
    ['docs/reference/codes.md', codesPage()],
    ['docs/reference/kinds.md', kindsPage()],
    ['docs/reference/limits.md', limitsPage()],
    ['docs/reference/metrics.md', await metricsPage()],
    ['docs/reference/settings.md', settingsPage()],
  ]);
}
