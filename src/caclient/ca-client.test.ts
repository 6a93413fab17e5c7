import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { systemClock } from '#base/clock.ts';
import type { ErrorCode } from '#base/error-codes.ts';
import { isBulwarkError } from '#base/errors.ts';
import { GRPC_STATUS, type GrpcCall, GrpcStatusError } from '#base/grpc/grpc.ts';
import { GrpcServer } from '#base/grpc/server.ts';
import { silentLogger } from '#base/log.ts';
import { Secret } from '#base/secret.ts';
import { CaClient } from '#caclient/ca-client.ts';
import { encodeCertificateRequest } from '#caclient/ca-messages.ts';
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from '#gen/bulwark/istio/v1/auth/ca_pb.js';
import { FakeAuthority } from '../../test/fakes/fake-authority.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';

const SERVER_NAME = 'istiod.istio-system.svc';
const REQUEST = { csr: 'the request', validitySeconds: 3600 };
const TOKEN = new Secret('a.b.c');

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

type Answer = (
  request: { csr: string; validityDuration: bigint },
  call: GrpcCall,
) => readonly string[] | Uint8Array;

interface TestCa {
  readonly authority: FakeAuthority;
  readonly server: GrpcServer;
}

/** A certificate service on TLS; on a port that was used before, or any. */
async function startCa(
  t: TestContext,
  answer: Answer,
  port = 0,
  authority = new FakeAuthority(systemClock),
): Promise<TestCa> {
  const { privateKeyPem, certificatePem } = authority.issue({ dnsNames: [SERVER_NAME] });
  const server = new GrpcServer(
    {
      name: 'ca',
      listen: { host: '127.0.0.1', port },
      tls: { privateKeyPem, certificateChainPem: certificatePem, clientCaPem: '' },
      services: [
        {
          unary: {
            [METHOD]: async (bytes, call) => {
              const answered = answer(fromBinary(IstioCertificateRequestSchema, bytes), call);
              if (answered instanceof Uint8Array) return answered;
              const message = { certChain: [...answered] };
              const response = create(IstioCertificateResponseSchema, message);
              return toBinary(IstioCertificateResponseSchema, response);
            },
          },
        },
      ],
    },
    { log: silentLogger, clock: systemClock },
  );
  t.after(() => server.close());
  await server.start();
  return { authority, server };
}

/** A service, a client for it, and the file with the root it is verified against. */
async function setUp(t: TestContext, answer: Answer) {
  const { authority, server } = await startCa(t, answer);
  const rootFile = join(temporaryDirectory(t), 'root.pem');
  writeFileSync(rootFile, authority.rootPem);
  const options = { address: `127.0.0.1:${server.port}`, serverName: SERVER_NAME, rootFile };
  const client = new CaClient(options, { clock: systemClock });
  t.after(() => client.close());
  return { client, authority, server, rootFile, options };
}

function failsWith(code: ErrorCode, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isBulwarkError(error, code), `${error}`);
    assert.match(`${error.message} ${error.remedy}`, text);
    return true;
  };
}

describe('the client of the certificate authority', () => {
  it('sends request and token, and gives the chain', async (t) => {
    const { client } = await setUp(t, ({ csr, validityDuration }, call) => {
      assert.equal(csr, REQUEST.csr);
      assert.equal(validityDuration, 3600n);
      return [`${call.metadata.authorization}`, 'root'];
    });
    assert.deepEqual(await client.sign(REQUEST, TOKEN), ['Bearer a.b.c', 'root']);
  });

  it('connects before the call when it is told to, and shares with who trusts the same', async (t) => {
    const peers: string[] = [];
    const { client, authority } = await setUp(t, (_, call) => {
      peers.push(call.peer.address);
      return ['leaf', 'root'];
    });
    assert.equal(client.sharedClient(authority.rootPem), undefined);
    client.prepare();
    const shared = await waitUntil(() => client.sharedClient(authority.rootPem), 'a connection');
    await shared.unary(METHOD, encodeCertificateRequest(REQUEST), { timeoutMs: 10_000 });
    await client.sign(REQUEST, TOKEN);
    assert.equal(new Set(peers).size, 1);
    assert.equal(client.sharedClient(new FakeAuthority(systemClock).rootPem), undefined);
  });

  it('does not talk to a server that another root has signed', async (t) => {
    let calls = 0;
    const { client, rootFile } = await setUp(t, () => {
      calls += 1;
      return [];
    });
    writeFileSync(rootFile, new FakeAuthority(systemClock).rootPem);
    await assert.rejects(client.sign(REQUEST, TOKEN), failsWith('AGENT_CA_UNREACHABLE', /root/));
    assert.equal(calls, 0);
  });

  it('does not talk to a server of another name', async (t) => {
    const { options } = await setUp(t, () => []);
    const client = new CaClient({ ...options, serverName: 'other.svc' }, { clock: systemClock });
    t.after(() => client.close());
    await assert.rejects(client.sign(REQUEST, TOKEN), failsWith('AGENT_CA_UNREACHABLE', /other/));
  });

  it('takes up a root file that was replaced', async (t) => {
    const { client, rootFile, authority } = await setUp(t, () => ['leaf', 'root']);
    writeFileSync(rootFile, new FakeAuthority(systemClock).rootPem);
    await assert.rejects(client.sign(REQUEST, TOKEN));
    writeFileSync(rootFile, authority.rootPem);
    assert.deepEqual(await client.sign(REQUEST, TOKEN), ['leaf', 'root']);
  });

  it('says when there is no root file, or nothing in it', async (t) => {
    const { client, rootFile, options } = await setUp(t, () => []);
    writeFileSync(rootFile, 'garbage');
    await assert.rejects(client.sign(REQUEST, TOKEN), failsWith('PKI_MALFORMED', /caRoot/));
    const missing = new CaClient(
      { ...options, rootFile: `${rootFile}.no` },
      { clock: systemClock },
    );
    await assert.rejects(missing.sign(REQUEST, TOKEN), failsWith('FILES_UNREADABLE', /caRoot/));
  });

  it('tells a refused token from other refusals', async (t) => {
    let status: GrpcStatusError = new GrpcStatusError(GRPC_STATUS.unauthenticated, 'no');
    const { client } = await setUp(t, () => {
      throw status;
    });
    await assert.rejects(client.sign(REQUEST, TOKEN), failsWith('CA_UNAUTHENTICATED', /proof/));
    status = new GrpcStatusError(GRPC_STATUS.invalidArgument, 'TTL is greater than the max');
    await assert.rejects(client.sign(REQUEST, TOKEN), failsWith('GRPC_FAILED', /greater than/));
  });

  it('fails soon while the server is down, and works at once when it is back', async (t) => {
    const { client, server, authority } = await setUp(t, () => ['leaf', 'root']);
    const { port } = server;
    await client.sign(REQUEST, TOKEN);
    await server.close();
    const isDown = failsWith('AGENT_CA_UNREACHABLE', /server runs/);
    for (let attempt = 0; attempt < 3; attempt += 1)
      await assert.rejects(client.sign(REQUEST, TOKEN), isDown);
    await startCa(t, () => ['new'], port, authority);
    assert.deepEqual(await client.sign(REQUEST, TOKEN), ['new']);
  });

  it('does not take an answer that is no message', async (t) => {
    const { client } = await setUp(t, () => Buffer.from([0x0a, 0xff, 0x01]));
    await assert.rejects(client.sign(REQUEST, TOKEN), failsWith('GRPC_FAILED', /refused/));
  });
});
