import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import {
  formatJoinToken,
  isCidr,
  JOIN_ID_BYTES,
  JOIN_SECRET_BYTES,
  JOIN_TOKEN_TYPE,
  type JoinToken,
  joinTokenName,
  joinTokenObject,
  readJoinToken,
} from '#api/join-token.ts';
import type { Secret } from '#api/kinds/secret.ts';
import type { ApiObject } from '#api/object.ts';
import { type Clock, systemClock } from '#base/clock.ts';
import { formatDurationMs, parseDurationMs } from '#base/duration.ts';
import { BulwarkError } from '#base/errors.ts';
import { connect } from '#cli/connect.ts';
import type { CliContext } from '#cli/context.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import { formatTable } from '#cli/table.ts';
import type { KubeClient } from '#kubeclient/kube-client.ts';

interface CreateFlags {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly ttl: string;
  readonly cidr?: string;
}

/** A token that is not used by then is of no use to anybody but a thief. */
const TTL_MS_MAX = 7 * 24 * 3_600_000;

/**
 * `bulwark join create | list | revoke`: tokens by which machines without a kubeconfig get their
 * first certificate.
 */
export function registerJoinCommand(program: Command, context: CliContext): void {
  const join = program
    .command('join')
    .description('make, list and revoke one-time tokens by which machines join the mesh');
  const create = join
    .command('create')
    .description('make a token, print it once; it is good for one certificate')
    .requiredOption('-n, --namespace <name>', 'namespace of the workload')
    .requiredOption('--service-account <name>', 'service account: who the workload will be')
    .option('--ttl <duration>', 'how long it may be used, at most 168h', '10m')
    .option('--cidr <range>', 'addresses that it may be used from, such as 10.0.0.0/8');
  addSettingOptions(create, ['kubeconfig']).action((flags: CreateFlags) =>
    withClient(create, context, async (client) => {
      const { text, expiresAt } = await createToken(client, flags);
      context.stdout.write(`${text}\n`);
      const until = new Date(expiresAt).toISOString();
      context.stderr.write(`good once, until ${until}; it is not shown again\n`);
    }),
  );
  const list = join
    .command('list')
    .description('show the tokens, used or not, that have not expired');
  addSettingOptions(list, ['kubeconfig']).action(() =>
    withClient(list, context, async (client) => {
      context.stdout.write(tokenTable(await listTokens(client), systemClock));
    }),
  );
  const revoke = join
    .command('revoke')
    .description('take a token back; certificates that it gave stay')
    .argument('<id>', 'the id that join list shows');
  addSettingOptions(revoke, ['kubeconfig']).action((id: string) =>
    withClient(revoke, context, async (client) => {
      await revokeToken(client, id);
      context.stderr.write(`join token ${id} revoked\n`);
    }),
  );
}

async function withClient(
  command: Command,
  context: CliContext,
  action: (client: KubeClient) => Promise<void>,
): Promise<void> {
  const client = await connect(await settingsOf(command, context));
  try {
    await action(client);
  } finally {
    client.close();
  }
}

async function createToken(client: KubeClient, flags: CreateFlags) {
  const { namespace, serviceAccount, cidr } = flags;
  const ttlMs = parseDurationMs(flags.ttl) ?? 0;
  if (ttlMs <= 0 || ttlMs > TTL_MS_MAX)
    throw usage(`--ttl is "${flags.ttl}"; accepted: a duration up to 168h`);
  if (cidr !== undefined && !isCidr(cidr))
    throw usage(`--cidr is "${cidr}"; accepted: ADDRESS/BITS such as 10.0.0.0/8`);
  const accounts = `/api/v1/namespaces/${encodeURIComponent(namespace)}/serviceaccounts`;
  const account = (await client.expect({
    method: 'GET',
    path: `${accounts}/${encodeURIComponent(serviceAccount)}`,
  })) as ApiObject;
  const id = randomBytes(JOIN_ID_BYTES).toString('hex');
  const secret = randomBytes(JOIN_SECRET_BYTES);
  const expiresAt = Math.floor((systemClock.now() + ttlMs) / 1000) * 1000;
  const accountUid = account.metadata.uid ?? '';
  const binding = { namespace, serviceAccount, accountUid, expiresAt, cidr };
  await client.expect({
    method: 'POST',
    path: secretsOf(namespace),
    body: joinTokenObject(id, secret, binding),
  });
  return { text: formatJoinToken({ namespace, id }, secret), expiresAt };
}

async function listTokens(client: KubeClient): Promise<readonly JoinToken[]> {
  const path = `/api/v1/secrets?fieldSelector=${encodeURIComponent(`type=${JOIN_TOKEN_TYPE}`)}`;
  const { items } = (await client.expect({ method: 'GET', path })) as {
    readonly items: readonly Secret[];
  };
  return items.flatMap((item) => readJoinToken({ ...item, type: item.type ?? '' }) ?? []);
}

function tokenTable(tokens: readonly JoinToken[], clock: Clock): string {
  const now = clock.now();
  const rows = tokens
    .filter(({ expiresAt }) => expiresAt > now)
    .map(({ id, namespace, serviceAccount, expiresAt, cidr, usedAt, usedFrom }) => [
      id,
      namespace,
      serviceAccount,
      formatDurationMs(Math.ceil((expiresAt - now) / 1000) * 1000),
      cidr ?? 'anywhere',
      usedAt === undefined ? 'no' : `${usedAt} from ${usedFrom ?? 'unknown'}`,
    ]);
  if (rows.length === 0) return 'There is no join token.\n';
  const header = ['ID', 'NAMESPACE', 'SERVICE ACCOUNT', 'EXPIRES IN', 'GOOD FROM', 'USED'];
  return formatTable([header, ...rows]);
}

async function revokeToken(client: KubeClient, id: string): Promise<void> {
  const token = (await listTokens(client)).find((one) => one.id === id);
  if (!token) {
    throw new BulwarkError('API_NOT_FOUND', `there is no join token ${id}`, {
      remedy: 'see bulwark join list',
    });
  }
  const path = `${secretsOf(token.namespace)}/${joinTokenName(id)}`;
  await client.expect({ method: 'DELETE', path });
}

function secretsOf(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
}

function usage(message: string): BulwarkError {
  return new BulwarkError('CLI_USAGE', message, { remedy: 'see bulwark join create --help' });
}
