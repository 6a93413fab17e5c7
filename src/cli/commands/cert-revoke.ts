import type { Command } from 'commander';
import { ADMIN_PATHS, type CertificatesView, type RevocationListsView } from '#admin/contract.ts';
import {
  type CertificateRevocation,
  certificateRevocation,
  REVOCATION_REASONS,
} from '#api/kinds/certificate-revocation.ts';
import { systemClock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import { connect } from '#cli/connect.ts';
import type { CliContext } from '#cli/context.ts';
import { outputOption } from '#cli/output-option.ts';
import { heldBackText, revocationLists } from '#cli/revocation-lists.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import { formatTable } from '#cli/table.ts';
import { type KubeClient, refusal } from '#kubeclient/kube-client.ts';

interface TargetFlags {
  readonly serial?: string;
  readonly identity?: string;
}

interface RevokeFlags extends TargetFlags {
  readonly reason: string;
}

/** What is named on the command line, in the form in which it is kept. */
type Target = { readonly serial: string } | { readonly identity: string };

const { apiVersion, kind, plural } = certificateRevocation;
const COLLECTION = `/apis/${apiVersion}/${plural}`;

/** `bulwark cert revoke | unrevoke | revocations`, below `cert`. */
export function addRevocationCommands(cert: Command, context: CliContext): void {
  const revoke = withTarget(cert.command('revoke'))
    .description('take a certificate or an identity out of use at once, open connections too')
    .option('--reason <reason>', REVOCATION_REASONS.join(', '), 'unspecified');
  const withClient = async (
    command: Command,
    act: (client: KubeClient) => Promise<string>,
  ): Promise<void> => {
    const client = await connect(await settingsOf(command, context));
    try {
      context.stdout.write(await act(client));
    } finally {
      client.close();
    }
  };
  revoke.action((flags: RevokeFlags) => withClient(revoke, (client) => make(client, flags)));
  const unrevoke = withTarget(cert.command('unrevoke')).description(
    'let a revoked certificate or identity be used again',
  );
  unrevoke.action((flags: TargetFlags) => withClient(unrevoke, (client) => remove(client, flags)));
  const list = cert
    .command('revocations')
    .description('show what is revoked')
    .addOption(outputOption());
  addSettingOptions(list, ['kubeconfig']).action(({ output }: { readonly output: string }) =>
    withClient(list, async (client) => {
      const lists = await revocationLists(client);
      return shown({ revocations: await all(client), ...(lists && { lists }) }, output);
    }),
  );
}

function withTarget(command: Command): Command {
  return addSettingOptions(command, ['kubeconfig'])
    .option('--serial <hex>', 'the serial number of a certificate; colons may stand in it')
    .option('--identity <id>', 'a SPIFFE id: all its certificates, those to come too');
}

/** @throws BulwarkError CLI_USAGE unless exactly one thing is named */
function targetOf({ serial, identity }: TargetFlags): Target {
  if (serial !== undefined && identity === undefined) {
    const digits = serial.toLowerCase().replaceAll(':', '').replace(/^0+/, '');
    return { serial: digits === '' ? serial : digits };
  }
  if (identity !== undefined && serial === undefined) return { identity };
  throw new BulwarkError('CLI_USAGE', 'name one of --serial and --identity', {
    remedy: 'see bulwark cert list for serials and identities',
  });
}

async function make(client: KubeClient, flags: RevokeFlags): Promise<string> {
  const target = targetOf(flags);
  const same = (await all(client)).find((one) => isOf(one, target));
  if (same) return `${described(target)} is revoked already (${same.metadata.name})\n`;
  const more = 'serial' in target ? await knownOf(client, target.serial) : {};
  const spec = { ...target, reason: flags.reason, ...more };
  const body = { apiVersion, kind, metadata: { generateName: 'revoked-' }, spec };
  const made = (await client.expect({ method: 'POST', path: COLLECTION, body })) as
    | CertificateRevocation
    | undefined;
  return `${described(target)} revoked (${made?.metadata.name})\n`;
}

async function remove(client: KubeClient, flags: TargetFlags): Promise<string> {
  const target = targetOf(flags);
  const found = (await all(client)).filter((one) => isOf(one, target));
  if (found.length === 0) {
    throw new BulwarkError('API_NOT_FOUND', `${described(target)} is not revoked`, {
      remedy: 'see bulwark cert revocations',
    });
  }
  for (const { metadata } of found) {
    const answer = await client.send({
      method: 'DELETE',
      path: `${COLLECTION}/${encodeURIComponent(metadata.name)}`,
    });
    if (answer.status >= 400 && answer.status !== 404) throw refusal(answer);
  }
  return `${described(target)} is no longer revoked\n`;
}

async function all(client: KubeClient): Promise<readonly CertificateRevocation[]> {
  const list = await client.expect({ method: 'GET', path: COLLECTION });
  return (list as { readonly items: readonly CertificateRevocation[] }).items;
}

/**
 * Whose certificate it is, and when it expires, if the server still knows it: the revocation is
 * over then, too.
 */
async function knownOf(client: KubeClient, serial: string) {
  const answer = await client.send({ method: 'GET', path: ADMIN_PATHS.certificates });
  if (answer.status >= 400) return {}; // only a convenience: it is over later without it
  const { certificates } = answer.body as CertificatesView;
  const found = certificates.find((one) => one.serial === serial);
  if (!found || Date.parse(found.notAfter) < systemClock.now()) return {};
  const isWorkload = found.identity.startsWith('spiffe://');
  return { notAfter: found.notAfter, ...(isWorkload && { issuedTo: found.identity }) };
}

function isOf({ spec }: CertificateRevocation, target: Target): boolean {
  if ('identity' in target) return spec.identity === target.identity;
  return spec.serial?.toLowerCase().replace(/^0+/, '') === target.serial;
}

function described(target: Target): string {
  return 'serial' in target ? `certificate ${target.serial}` : target.identity;
}

/** What `bulwark cert revocations` shows. */
interface Shown {
  readonly revocations: readonly CertificateRevocation[];
  readonly lists?: RevocationListsView;
}

function shown({ revocations, lists }: Shown, output: string): string {
  if (output === 'json') return `${JSON.stringify({ revocations, lists }, null, 2)}\n`;
  const heldBack = heldBackText(lists);
  if (revocations.length === 0) return `Nothing is revoked.\n${heldBack}`;
  const rows = revocations.map(({ metadata, spec }) => [
    metadata.name,
    spec.serial ?? spec.identity ?? '',
    spec.reason ?? 'unspecified',
    metadata.creationTimestamp ?? '',
    spec.notAfter ?? '',
  ]);
  return formatTable([['NAME', 'REVOKED', 'REASON', 'SINCE', 'UNTIL'], ...rows]) + heldBack;
}
