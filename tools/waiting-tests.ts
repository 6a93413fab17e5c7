/**
 * Tests that wait for time to pass (certificates that end and are renewed, windows of observation)
 * more than they compute:
 * they have a lane of their own, beside those that keep the processors busy.
 */
export const MOSTLY_WAITING: readonly string[] = [
  'test/e2e/upstream-authority.test.ts',
  'test/e2e/trust-domain-change.test.ts',
  'test/e2e/jwt-migration.test.ts',
  'test/e2e/plugged-in-ca.test.ts',
  'test/e2e/join-state.test.ts',
  'test/e2e/mtls-status.test.ts',
  'test/e2e/issuer-keys.test.ts',
  'test/e2e/revocation.test.ts',
  'test/e2e/token-attacks.test.ts',
];
