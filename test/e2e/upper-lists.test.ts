// The lists of authorities far above: those that come with a plugged-in authority reach workloads
// of servers below, too, with a real Envoy.
import { join } from 'node:path';
import { test } from 'node:test';
import { crlOf, makeAuthority } from '../kit/authority-chain.ts';
import { caFilesOf, writeCaFiles } from '../kit/ca-files.ts';
import { CertificateCaller } from '../kit/certificate-caller.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { accountsYaml, serviceYaml, strictYaml, workloadOf, yamlOf } from '../kit/mesh-objects.ts';
import { callPeer, httpRequest, statusOf } from '../kit/peer-call.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { startBelow } from '../kit/server-below.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { waitUntil } from '../kit/wait-until.ts';

const WITHIN = { withinMs: 60_000 };
const OBJECTS = [accountsYaml('shop', 'web'), serviceYaml('shop', 'web'), strictYaml('shop')];

test('what a list two levels above names is refused below a server below', {
  timeout: 240_000,
}, async (t) => {
  const root = makeAuthority();
  const middle = makeAuthority({}, root);
  const signer = makeAuthority({ trustDomains: ['cluster.local'] }, middle);
  const { files } = caFilesOf([root, middle, signer]);
  const directory = join(temporaryDirectory(t), 'cacerts');
  const give = (serials: readonly string[]) =>
    writeCaFiles(directory, { ...files, crl: `${crlOf(root, [])}${crlOf(middle, serials)}` });
  give([]);
  const above = new RealMesh(t);
  const below = new RealMesh(t);
  await above.startServer(
    ...['--ca-certificates', directory],
    ...['--intermediate-authorities', 'istio-system/edge'],
  );
  await startBelow(below, above);
  await below.apply(yamlOf(...OBJECTS));
  const ports = [{ name: 'http', port: await startEchoApp(t, 'web') }];
  const more = { group: 'web', app: { ports } };
  const status = await below.startAgent('web', { workloads: [workloadOf('web', more)] });
  const port = (await status('web')).ports.inbound[0]?.listen ?? 0;
  const caller = await CertificateCaller.connect(below.data);
  t.after(() => caller.close());
  const certificate = await caller.certificate();
  const call = () => callPeer({ port, certificate, data: httpRequest('/') });
  const listsOut = () => below.metric('bulwark_ca_crl_next_update_timestamp');
  await waitUntil(async () => (await listsOut()) > 0, 'lists are given out', WITHIN);
  await waitUntil(async () => statusOf(await call()) === 200, 'whom none names is let in', WITHIN);
  give([signer.certificate.serial]);
  const isRefused = async () => /revoked/i.test((await call()).error ?? '');
  await waitUntil(isRefused, 'what the revoked authority vouches for is refused', WITHIN);
});
