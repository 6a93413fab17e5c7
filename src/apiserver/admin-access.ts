import { load } from 'js-yaml';
import { kubeconfigText } from '#api/kubeconfig.ts';
import { MASTERS } from '#apiserver/authorize.ts';
import type { ClientAuthority, ClientCredentials } from '#apiserver/client-authority.ts';
import { pathExists, readSecretFile, writeFileAtomic } from '#base/files.ts';
import { Secret } from '#base/secret.ts';

/** What the administrator's kubeconfig leads to. */
export interface AdminAccessOptions {
  /** Where the kubeconfig is, or is to be. */
  readonly path: string;
  /** `https://127.0.0.1:6443`. */
  readonly server: string;
  /** PEM of the authority that signed the serving certificate. */
  readonly serverCa: string;
}

const USER = 'bulwark-admin';
const VALID_DAYS = 365;
/** A certificate with less than this left is replaced at the start. */
const RENEW_DAYS = 90;

/**
 * Writes the administrator's kubeconfig, for the owner only: new credentials at the first start and
 * when the old ones end; else those that are there, with the present address of the server.
 * @returns whether the file is new or changed
 * @throws BulwarkError FILES_UNREADABLE, FILES_TOO_OPEN, FILES_UNWRITABLE, FILES_DISK_FULL
 */
export async function ensureAdminKubeconfig(
  options: AdminAccessOptions,
  authority: ClientAuthority,
): Promise<boolean> {
  const { path, server, serverCa } = options;
  const present = (await pathExists(path)) ? String(await readSecretFile(path)) : '';
  const kept = credentialsIn(present);
  const usable = kept !== undefined && authority.vouchesFor(kept.certificate, RENEW_DAYS);
  const subject = { user: USER, groups: [MASTERS], validDays: VALID_DAYS };
  const credentials = usable ? kept : authority.issue(subject);
  const namespace = 'default';
  const text = kubeconfigText({ user: USER, server, serverCa, namespace, ...credentials });
  if (text === present) return false;
  await writeFileAtomic(path, text);
  return true;
}

interface WrittenConfig {
  readonly users?: readonly {
    readonly user?: Readonly<Record<string, unknown>>;
  }[];
}

/** The credentials in a kubeconfig that was written here; undefined when it holds none. */
function credentialsIn(text: string): ClientCredentials | undefined {
  try {
    const [entry] = (load(text) as WrittenConfig).users ?? [];
    const read = (field: string): string =>
      Buffer.from(String(entry?.user?.[field] ?? ''), 'base64').toString('utf8');
    const [certificate, key] = [read('client-certificate-data'), read('client-key-data')];
    return certificate && key ? { certificate, key: new Secret(key) } : undefined;
  } catch {
    return undefined;
  }
}
