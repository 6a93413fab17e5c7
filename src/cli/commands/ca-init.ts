import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { systemClock } from '#base/clock.ts';
import { parseDurationMs } from '#base/duration.ts';
import { BulwarkError } from '#base/errors.ts';
import { systemRandom } from '#base/random.ts';
import {
  type AuthorityPlan,
  createIntermediate,
  createRoot,
  openRoot,
  refuseExisting,
} from '#cli/ca/offline-root.ts';
import type { CliContext } from '#cli/context.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import type { KeyChoice } from '#pki/keys.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';

interface InitFlags {
  readonly offlineRoot?: boolean;
  readonly root?: string;
  readonly out: string;
  readonly key: KeyChoice;
  readonly rootTtl: string;
  readonly ttl: string;
}

const KEYS: readonly KeyChoice[] = ['P-256', 'P-384', 'RSA-2048', 'RSA-3072', 'RSA-4096'];

/** `bulwark ca init`: an authority whose root key no server ever sees. */
export function registerInitCommand(parent: Command, context: CliContext): void {
  const command = parent
    .command('init')
    .description('make a root that is kept offline, and an authority below it for the server')
    .option('--offline-root', 'make a new root, in OUT/root')
    .option('--root <dir>', 'use the root in this folder, to make the next authority below it')
    .requiredOption('--out <dir>', 'where to; the authority for the server gets into OUT/cacerts')
    .addOption(new Option('--key <kind>', 'the kind of keys').choices(KEYS).default('P-256'))
    .option('--root-ttl <duration>', 'the life of a new root', '87600h')
    .option('--ttl <duration>', 'the life of the authority below it', '8760h');
  addSettingOptions(command, ['trustDomain', 'trustDomainAliases']).action(
    async (flags: InitFlags) => {
      const settings = await settingsOf(command, context);
      const trustDomains: AuthorityPlan['trustDomains'] = [
        parseTrustDomain(settings.trustDomain),
        ...settings.trustDomainAliases.map(parseTrustDomain),
      ];
      await init(flags, trustDomains, context);
    },
  );
}

async function init(
  flags: InitFlags,
  trustDomains: AuthorityPlan['trustDomains'],
  { stdout }: CliContext,
): Promise<void> {
  const { offlineRoot, root: rootFolder, out, key } = flags;
  if ((offlineRoot === true) === (rootFolder !== undefined)) {
    throw new BulwarkError('CLI_USAGE', 'want either --offline-root or --root DIR', {
      remedy: '--offline-root makes a new root, --root uses one that was made before',
    });
  }
  const deps = { clock: systemClock, random: systemRandom };
  const plan = { key, trustDomains };
  const rootTtlMs = duration('--root-ttl', flags.rootTtl);
  const ttlMs = duration('--ttl', flags.ttl);
  const rootPath = rootFolder ?? join(out, 'root');
  const path = join(out, 'cacerts');
  await refuseExisting(path);
  const root = rootFolder
    ? await openRoot(rootFolder)
    : await createRoot(rootPath, { ...plan, ttlMs: rootTtlMs }, deps);
  const { notAfterAt } = await createIntermediate(path, { ...plan, root, ttlMs }, deps);
  const day = (at: number): string => new Date(at).toISOString().slice(0, 10);
  stdout.write(`root           ${rootPath}  (until ${day(root.certificate.notAfterAt)})
for the server ${path}  (until ${day(notAfterAt)})
may sign       identities of ${trustDomains.join(', ')} only

Move ${rootPath} to a medium that is not connected to anything, with a copy elsewhere, and remove it
here: who has root-key.pem can be anybody in the mesh. The server never needs it. Start it with

  bulwark server --ca-certificates ${path} --trust-domain ${trustDomains[0]}

Before ${day(notAfterAt)}, fetch the root, make the next authority, and copy its files over the old ones
while the server runs; it takes them without a restart:

  bulwark ca init --root ${rootPath} --out NEW
`);
}

function duration(flag: string, text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms < 60_000) {
    throw new BulwarkError('CLI_USAGE', `${flag} ${text} is no duration of a minute or more`, {
      remedy: 'write it like 8760h',
    });
  }
  return ms;
}
