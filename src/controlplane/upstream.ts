import { join } from 'node:path';
import { BulwarkError } from '#base/errors.ts';
import type { SettingName, Settings } from '#base/settings-table.ts';
import { ListExchange } from '#ca/upstream/list-exchange.ts';
import { UpstreamAuthority } from '#ca/upstream/upstream-authority.ts';
import { readUpstreamCredential } from '#ca/upstream/upstream-credential.ts';
import { CaClient } from '#caclient/ca-client.ts';
import type { AuthorityDeps } from '#controlplane/authority.ts';
import type { TrustDomain } from '#spiffe/spiffe-id.ts';

const ADDRESS = /^(\[[0-9a-f:]+\]|[a-z0-9.-]+):\d{1,5}$/i;

/**
 * Opens the authority that another server signs, as the settings say, and the exchange of lists
 * with that server.
 * @param options.directory where the key and the certificate are kept
 * @throws BulwarkError SETTINGS_INVALID, FILES_UNREADABLE (the root), CA_UPSTREAM_FAILED
 */
export async function openUpstream(
  settings: Settings,
  options: { readonly directory: string; readonly trustDomain: TrustDomain },
  deps: AuthorityDeps,
): Promise<{ readonly authority: UpstreamAuthority; readonly exchange: ListExchange }> {
  const { upstreamTokenFile: tokenFile, upstreamCertificates: certificates } = settings;
  const address = settings.upstreamCa ?? '';
  if (!ADDRESS.test(address))
    throw wrong('upstreamCa', `${JSON.stringify(address)} is no HOST:PORT`);
  if (settings.caCertificates !== undefined)
    throw wrong('upstreamCa', 'caCertificates names an authority, too: leave one of them out');
  if ((tokenFile === undefined) === (certificates === undefined))
    throw wrong('upstreamTokenFile', 'set either this or upstreamCertificates');
  if (settings.upstreamCaRoot === undefined)
    throw wrong('upstreamCaRoot', 'it is missing: the root that the server above is verified by');
  const service = {
    address,
    serverName: settings.upstreamCaServerName,
    rootFile: settings.upstreamCaRoot,
    settingNames: { address: 'upstreamCa', root: 'upstreamCaRoot' },
  };
  const client = new CaClient(service, deps);
  const listClient = new CaClient(service, deps);
  await client.roots.current();
  const { directory, trustDomain } = options;
  const credential = () => readUpstreamCredential({ tokenFile, certificates });
  const learnRoots = (rootsPem: string): void => {
    client.roots.learn(rootsPem);
    listClient.roots.learn(rootsPem);
  };
  const authority = await UpstreamAuthority.open(
    { path: join(directory, 'upstream.json'), trustDomain, address },
    { ...deps, client, learnRoots, credential },
  );
  const roots = () => authority.roots.map(({ certificate }) => certificate);
  const exchange = await ListExchange.open(
    { path: join(directory, 'upstream-lists.json'), address },
    { ...deps, client: listClient, credential, roots },
  );
  authority.onChange(async () => exchange.rootsChanged());
  exchange.onNews(() => authority.lookAt(exchange.news().lists));
  return { authority, exchange };
}

function wrong(setting: SettingName, problem: string): BulwarkError {
  return new BulwarkError('SETTINGS_INVALID', `${setting}: ${problem}`);
}
