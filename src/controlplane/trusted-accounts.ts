import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import type { SettingName } from '#base/settings-table.ts';
import { type SpiffeId, type TrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';

/**
 * The identities of service accounts that a setting names, each as NAMESPACE/NAME.
 * @throws BulwarkError SETTINGS_INVALID that names the one that is wrong
 */
export function accountIdentities(
  setting: SettingName,
  accounts: readonly string[],
  trustDomain: TrustDomain,
): ReadonlySet<SpiffeId> {
  return new Set(
    accounts.map((account) => {
      const [namespace = '', serviceAccount = '', ...more] = account.split('/');
      try {
        if (more.length === 0) return workloadSpiffeId({ trustDomain, namespace, serviceAccount });
      } catch (error) {
        if (!isBulwarkError(error, 'SPIFFE_INVALID')) throw error;
      }
      const message = `${setting}: ${JSON.stringify(account)} names no service account`;
      throw new BulwarkError('SETTINGS_INVALID', message, {
        remedy: 'write NAMESPACE/NAME, several of them with commas',
      });
    }),
  );
}
