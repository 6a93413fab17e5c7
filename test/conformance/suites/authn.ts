import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CaseResult, ConformanceSuite } from '../suite.ts';
import { PEER_CHECKS } from './authn/peers.ts';
import type { AuthnCheck, AuthnRow } from './authn/row.ts';
import { TLS_CONTEXT_CHECKS } from './authn/tls-contexts.ts';
import { TOKEN_CHECKS } from './authn/tokens.ts';
import { TRUST_DOMAIN_CHECKS } from './authn/trust-domains.ts';

/** How to check the rows of each suite of Istio; those of one subject in one file. */
const CHECKS: Readonly<Record<string, AuthnCheck>> = {
  ...PEER_CHECKS,
  ...TLS_CONTEXT_CHECKS,
  ...TOKEN_CHECKS,
  ...TRUST_DOMAIN_CHECKS,
};

/** Authentication policies → what they mean for peers and tokens. */
export const suite: ConformanceSuite = {
  name: 'authn',
  run: async (directory) => {
    const rows = JSON.parse(readFileSync(join(directory, 'authn.json'), 'utf8'));
    return (rows as readonly AuthnRow[]).map(result);
  },
};

function result(row: AuthnRow): CaseResult {
  const name = `${row.release} ${row.suite} ${row.name}`;
  try {
    const check = CHECKS[row.suite];
    const detail = check ? check(row) : `not built: rows of ${row.suite}`;
    return detail === undefined
      ? { case: name, outcome: 'passed' }
      : { case: name, outcome: 'failed', detail };
  } catch (error) {
    return { case: name, outcome: 'failed', detail: String(error) };
  }
}
