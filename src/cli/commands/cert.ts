import type { Command } from 'commander';
import { ADMIN_PATHS, type CertificatesView, type CertificateView } from '#admin/contract.ts';
import { systemClock } from '#base/clock.ts';
import { formatDurationMs } from '#base/duration.ts';
import { BulwarkError } from '#base/errors.ts';
import { addRevocationCommands } from '#cli/commands/cert-revoke.ts';
import { connect } from '#cli/connect.ts';
import type { CliContext } from '#cli/context.ts';
import { outputOption } from '#cli/output-option.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import { formatTable } from '#cli/table.ts';

interface OutputFlags {
  readonly output: string;
}

interface ListFlags extends OutputFlags {
  readonly identity?: string;
}

/** `bulwark cert`: the certificates that were issued and are not over yet, and what is revoked. */
export function registerCertCommand(program: Command, context: CliContext): void {
  const cert = program
    .command('cert')
    .description('show the certificates that were issued, and revoke');
  const list = cert
    .command('list')
    .description('show the certificates that have not expired, the latest first')
    .option('--identity <id>', 'of this identity only: a SPIFFE id, or NAMESPACE/ACCOUNT')
    .addOption(outputOption());
  addSettingOptions(list, ['kubeconfig']).action(async ({ identity, output }: ListFlags) => {
    const all = await certificates(list, context);
    const found = all.filter((one) => identity === undefined || isOf(one, identity));
    const text = found.length === 0 ? noneOf(identity) : tableOf(found);
    context.stdout.write(output === 'json' ? json({ certificates: found }) : text);
  });
  const show = cert
    .command('show')
    .description('show one certificate, and how it came to be')
    .argument('<serial>', 'its serial, hexadecimal; the beginning is enough')
    .addOption(outputOption());
  addSettingOptions(show, ['kubeconfig']).action(async (serial: string, flags: OutputFlags) => {
    const found = theOne(await certificates(show, context), serial);
    context.stdout.write(flags.output === 'json' ? json(found) : linesOf(found));
  });
  addRevocationCommands(cert, context);
}

async function certificates(
  command: Command,
  context: CliContext,
): Promise<readonly CertificateView[]> {
  const client = await connect(await settingsOf(command, context));
  try {
    const answer = await client.expect({ method: 'GET', path: ADMIN_PATHS.certificates });
    return (answer as CertificatesView).certificates;
  } finally {
    client.close();
  }
}

function isOf({ identity }: CertificateView, wanted: string): boolean {
  const [namespace, account, ...more] = wanted.split('/');
  if (wanted.includes('://') || more.length > 0) return identity === wanted;
  return identity.endsWith(`/ns/${namespace}/sa/${account}`);
}

function theOne(all: readonly CertificateView[], text: string): CertificateView {
  const wanted = text.toLowerCase().replaceAll(':', '').replace(/^0+/, '');
  const found = all.filter(({ serial }) => wanted !== '' && serial.startsWith(wanted));
  const [one] = found;
  if (one && (found.length === 1 || one.serial === wanted)) return one;
  const problem = one ? `${found.length} certificates begin with` : 'there is no certificate';
  throw new BulwarkError('API_NOT_FOUND', `${problem} ${text}`, {
    remedy: 'see bulwark cert list; certificates that have expired are not kept',
  });
}

function noneOf(identity: string | undefined): string {
  const whose = identity === undefined ? '' : ` of ${identity}`;
  return `No certificate${whose} is valid now.\n`;
}

function tableOf(certificates: readonly CertificateView[]): string {
  const now = systemClock.now();
  const rows = certificates.map(({ serial, identity, notAfter, method, caller }) => [
    serial,
    identity,
    formatDurationMs(Math.max(1000, Math.ceil((Date.parse(notAfter) - now) / 1000) * 1000)),
    method,
    caller,
  ]);
  return formatTable([['SERIAL', 'IDENTITY', 'EXPIRES IN', 'PROVEN BY', 'CALLER'], ...rows]);
}

function linesOf(one: CertificateView): string {
  const rows = [
    ['Serial', one.serial],
    ['Identity', one.identity],
    ['Issued', one.issuedAt],
    ['Valid from', one.notBefore],
    ['Valid until', one.notAfter],
    ['Issuer key', one.issuerKeyId],
    ['Proven by', one.proof === '' ? one.method : `${one.method} ${one.proof}`],
    ['Caller', one.caller],
  ];
  return formatTable(rows.map(([name = '', value = '']) => [`${name}:`, value]));
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
