import type { Command } from 'commander';
import { ADMIN_PATHS, type UserCertificate, type UserRequest } from '#admin/contract.ts';
import { kubeconfigText } from '#api/kubeconfig.ts';
import { BulwarkError } from '#base/errors.ts';
import { pathExists, writeFileAtomic } from '#base/files.ts';
import type { CliContext } from '#cli/context.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import { KubeClient } from '#kubeclient/kube-client.ts';
import { defaultKubeconfigPath, readKubeconfig } from '#kubeclient/kubeconfig.ts';
import { generateKeyPair, privateKeyToPem } from '#pki/keys.ts';

interface CreateFlags {
  readonly group: readonly string[];
  readonly days: string;
  readonly namespace: string;
  readonly out?: string;
  readonly replace?: boolean;
}

/** `bulwark user create`: a kubeconfig for a person, who is then given roles by bindings. */
export function registerUserCommand(program: Command, context: CliContext): void {
  const user = program
    .command('user')
    .description('let people use the API server as themselves, within their roles');
  const create = user
    .command('create')
    .description('make a key and a certificate for a person, and a kubeconfig with both')
    .argument('<name>', 'user name, as role bindings have it')
    .option('--group <name>', 'a group that the user is in; may be repeated', collect, [])
    .option('--days <number>', 'how long the certificate is good, at most 365', '90')
    .option('-n, --namespace <name>', 'namespace of commands that name none', 'default')
    .option('--out <file>', 'where to write the kubeconfig; NAME.kubeconfig when left out')
    .option('--replace', 'whether to replace a file that is there');
  addSettingOptions(create, ['kubeconfig']).action(async (name: string, flags: CreateFlags) => {
    const { kubeconfig } = await settingsOf(create, context);
    const path = flags.out ?? `${name.replaceAll(/[^A-Za-z0-9@._-]/g, '_')}.kubeconfig`;
    if (!flags.replace && (await pathExists(path))) {
      throw new BulwarkError('SETTINGS_INVALID', `${path} is there already`, {
        remedy: 'name another file with --out, or give --replace',
      });
    }
    const text = await makeKubeconfig(kubeconfig ?? defaultKubeconfigPath(), name, flags);
    await writeFileAtomic(path, text);
    context.stderr.write(
      `wrote ${path}: ${name} has the roles that bindings give, and no others\n`,
    );
  });
}

function collect(value: string, all: readonly string[]): readonly string[] {
  return [...all, value];
}

/** The key is made here and goes nowhere but into the file. */
async function makeKubeconfig(admin: string, user: string, flags: CreateFlags): Promise<string> {
  const access = await readKubeconfig(admin);
  if (access.certificateAuthority === undefined) {
    throw new BulwarkError('SETTINGS_INVALID', `${admin} names no authority of its cluster`, {
      remedy: 'use the kubeconfig that the server writes, admin.kubeconfig in its data folder',
    });
  }
  const { privateKey, publicKey } = generateKeyPair();
  const body: UserRequest = {
    user,
    groups: flags.group,
    publicKey: String(publicKey.export({ type: 'spki', format: 'pem' })),
    validDays: Number(flags.days),
  };
  const client = new KubeClient(access);
  try {
    const path = ADMIN_PATHS.users;
    const { certificate } = (await client.expect({
      method: 'POST',
      path,
      body,
    })) as UserCertificate;
    const { namespace } = flags;
    const [server, serverCa] = [access.server, access.certificateAuthority];
    const key = privateKeyToPem(privateKey);
    return kubeconfigText({ user, server, serverCa, certificate, key, namespace });
  } finally {
    client.close();
  }
}
