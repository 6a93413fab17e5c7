// The service over TLS: Istio's wire format, the agent's client and the agent's own checks.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { checkIssuedChain } from '#agent/ca/issued-chain.ts';
import { systemClock } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import { GrpcServer } from '#base/grpc/server.ts';
import { silentLogger } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import { CaClient } from '#caclient/ca-client.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair, privateKeyToPem } from '#pki/keys.ts';
import { parsePublicKey } from '#pki/public-key.ts';
import { CALLER, openCsrService } from '../../test/kit/csr-service.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';

const SERVER_NAME = 'istiod.istio-system.svc';

it('an agent gets its certificate over TLS that the same authority made', async (t) => {
  const { service, issuer, records } = await openCsrService(t);
  const serverKeys = generateKeyPair();
  const spki = serverKeys.publicKey.export({ type: 'spki', format: 'der' });
  const served = await issuer.issueForServer({
    dnsNames: [SERVER_NAME],
    ipAddresses: ['127.0.0.1'],
    publicKey: parsePublicKey(spki),
    ttlMs: 3_600_000,
  });
  const tls = {
    privateKeyPem: privateKeyToPem(serverKeys.privateKey),
    certificateChainPem: served.chain.join(''),
    clientCaPem: issuer.trustBundle,
  };
  const server = new GrpcServer(
    { name: 'ca', listen: { host: '127.0.0.1', port: 0 }, tls, services: [service] },
    { log: silentLogger, clock: systemClock },
  );
  t.after(() => server.close());
  await server.start();
  const rootFile = join(temporaryDirectory(t), 'root.pem');
  await writeFile(rootFile, issuer.trustBundle);
  const client = new CaClient(
    { address: `127.0.0.1:${server.port}`, serverName: SERVER_NAME, rootFile },
    { clock: systemClock },
  );
  t.after(() => client.close());

  const keys = generateKeyPair();
  const request = { csr: buildCsr(CALLER, keys), validitySeconds: 600 };
  const chain = await client.sign(request, new Secret('good'));
  const at = systemClock.now();
  const checked = checkIssuedChain(chain, { keys, identity: CALLER, at });
  assert.equal(checked.rootsPem, issuer.trustBundle);

  await client.sign({ ...request, isAgent: true }, new Secret('good'));
  const who = records.map(({ isAgent }) => isAgent);
  assert.deepEqual(who, [false, true], 'the journal knows which of them was an agent');

  const isUnknown = (error: unknown) => isBulwarkError(error, 'CA_UNAUTHENTICATED');
  await assert.rejects(client.sign(request, new Secret('bad')), isUnknown);
});
