import { type Command, Option } from 'commander';
import { ADMIN_PATHS, type BundlesView, type BundleView } from '#admin/contract.ts';
import { trustBundle } from '#api/kinds/trust-bundle.ts';
import { BulwarkError } from '#base/errors.ts';
import { connect } from '#cli/connect.ts';
import type { CliContext } from '#cli/context.ts';
import { outputOption } from '#cli/output-option.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import { formatTable } from '#cli/table.ts';
import { encodePem } from '#pki/pem.ts';
import { bundleOf } from '#spiffe/bundle.ts';

interface ListFlags {
  readonly output: string;
}

interface ShowFlags {
  readonly format: string;
  readonly endpoint?: string;
}

const FORMATS = ['spiffe', 'pem', 'object'] as const;

/** `bulwark bundle`: what vouches for the identities of which trust domain. */
export function registerBundleCommand(program: Command, context: CliContext): void {
  const bundle = program
    .command('bundle')
    .description('what vouches for the identities of this trust domain and of others');
  addList(bundle, context);
  addShow(bundle, context);
}

function addList(bundle: Command, context: CliContext): void {
  const command = bundle
    .command('list')
    .description('list the trust domains whose identities can be verified')
    .addOption(outputOption());
  addSettingOptions(command, ['kubeconfig']).action(async ({ output }: ListFlags) => {
    const { bundles } = await read(command, context);
    context.stdout.write(
      output === 'json' ? `${JSON.stringify({ bundles }, null, 2)}\n` : tableOf(bundles),
    );
    for (const { trustDomain, error } of bundles)
      if (error !== undefined) context.stderr.write(`${trustDomain}: ${error}\n`);
  });
}

function addShow(bundle: Command, context: CliContext): void {
  const command = bundle
    .command('show')
    .description('print the bundle of a trust domain, to be handed to the other side')
    .argument('[trust-domain]', 'that of this mesh when left out')
    .addOption(
      new Option(
        '--format <format>',
        'spiffe (JSON), pem (roots only), or a TrustBundle object for the other side',
      )
        .choices(FORMATS)
        .default('spiffe'),
    )
    .option('--endpoint <url>', 'with object: where the other side finds our bundle endpoint');
  addSettingOptions(command, ['kubeconfig']).action(
    async (trustDomain: string | undefined, { format, endpoint }: ShowFlags) => {
      const { bundles, endpointSpiffeId } = await read(command, context);
      const found = bundles.find((one) => one.trustDomain === (trustDomain ?? one.trustDomain));
      const document = found?.document;
      if (!document)
        throw new BulwarkError('API_NOT_FOUND', `there is no bundle of ${trustDomain}`, {
          remedy: 'bulwark bundle list shows those that there are',
        });
      if (format === 'pem') context.stdout.write(pemOf(document));
      else if (format === 'spiffe') context.stdout.write(jsonOf(document));
      else {
        const source = endpoint && { url: endpoint, profile: 'https_spiffe', endpointSpiffeId };
        context.stdout.write(jsonOf(objectOf(found.trustDomain, document, source || undefined)));
      }
    },
  );
}

async function read(command: Command, context: CliContext): Promise<BundlesView> {
  const client = await connect(await settingsOf(command, context));
  try {
    return (await client.expect({ method: 'GET', path: ADMIN_PATHS.bundles })) as BundlesView;
  } finally {
    client.close();
  }
}

function tableOf(bundles: readonly BundleView[]): string {
  const rows = bundles.map(({ trustDomain, source, roots, keys, sequence, error }) => [
    trustDomain,
    String(roots.length),
    String(keys.length),
    sequence === undefined ? '-' : String(sequence),
    roots
      .map(({ notAfter }) => notAfter)
      .sort()
      .at(-1) ?? '-',
    error === undefined ? 'ok' : 'failing',
    source,
  ]);
  const head = ['TRUST DOMAIN', 'ROOTS', 'KEYS', 'SEQUENCE', 'EXPIRES', 'STATE', 'SOURCE'];
  return formatTable([head, ...rows]);
}

function jsonOf(document: object): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** A TrustBundle by which another mesh trusts this trust domain. */
function objectOf(trustDomain: string, document: object, endpoint: object | undefined): object {
  return {
    apiVersion: trustBundle.apiVersion,
    kind: trustBundle.kind,
    metadata: { name: trustDomain },
    spec: { trustDomain, bundle: JSON.stringify(document), ...(endpoint && { endpoint }) },
  };
}

function pemOf(document: object): string {
  return bundleOf(document)
    .roots.map((der) => encodePem('CERTIFICATE', der))
    .join('');
}
