import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GRPC_STATUS, type GrpcCall, GrpcStatusError } from '#base/grpc/grpc.ts';
import {
  type XdsAuthenticatorDeps,
  type XdsCaller,
  xdsAuthenticator,
} from '#controlplane/xds-authenticator.ts';
import { parseCertificate } from '#pki/certificate.ts';
import { identityOfCertificate } from '#pki/certificate-identity.ts';
import { decodePem } from '#pki/pem.ts';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { testAuthority } from '../../test/kit/test-authority.ts';

const trustDomains = ['new.test', 'old.test'].map(parseTrustDomain);

/** Asks with a certificate of this identity; gives what was found out, or the reason against. */
async function ask(
  uri: string,
  isRevoked: XdsAuthenticatorDeps['isRevoked'] = () => false,
): Promise<unknown> {
  const { certificate } = testAuthority().issue({ uris: [uri] });
  const [der] = decodePem(certificate, ['CERTIFICATE']);
  const call = { peer: { verifiedCertificate: der } } as unknown as GrpcCall;
  const authenticate = xdsAuthenticator({
    trustDomains,
    isRevoked,
    authenticateToken: () => assert.fail('a certificate counts before a token'),
  });
  try {
    return await authenticate(call);
  } catch (error) {
    assert.ok(error instanceof GrpcStatusError && error.status === GRPC_STATUS.unauthenticated);
    assert.equal(error.message, 'authentication failure');
    return String((error.cause as Error).message);
  }
}

test('a proxy is known by its certificate, in every name of the trust domain', async () => {
  for (const trustDomain of trustDomains) {
    const identity = parseSpiffeId(`spiffe://${trustDomain}/ns/shop/sa/web`);
    const { certificate, ...who } = (await ask(identity)) as XdsCaller;
    assert.deepEqual(who, { identity, namespace: 'shop', serviceAccount: 'web' });
    assert.deepEqual(certificate?.names.uris, [identity], 'and what it proved itself with');
  }
});

test('foreign, malformed and look-alike domains are refused', async () => {
  const foreign = ['evil.test', 'new.test.evil', 'xnew.test', 'ew.test', 'new'];
  for (const name of foreign) {
    const reason = await ask(`spiffe://${name}/ns/shop/sa/web`);
    assert.match(String(reason), /of another trust domain/, name);
  }
  for (const name of ['New.test', 'new.test:443', 'new%2etest', '']) {
    const reason = await ask(`spiffe://${name}/ns/shop/sa/web`);
    assert.match(String(reason), /no SPIFFE id|trust domain/, name);
  }
  assert.match(String(await ask('spiffe://new.test/elsewhere')), /no workload identity/);
});

test('a revoked caller is refused in the words that any other is refused in', async () => {
  const identity = parseSpiffeId('spiffe://new.test/ns/shop/sa/web');
  const isRevoked = (_: unknown, who: string): boolean => who === identity;
  assert.equal(await ask(identity, isRevoked), `${identity} is revoked`);
  assert.equal(typeof (await ask('spiffe://new.test/ns/shop/sa/other', isRevoked)), 'object');
});

test('a caller is refused whose certificate is revoked, the one that it proved', async () => {
  const uri = 'spiffe://new.test/ns/shop/sa/web';
  const seen: (Uint8Array | undefined)[] = [];
  const isRevoked = (der: Uint8Array | undefined): boolean => {
    seen.push(der);
    return der !== undefined;
  };
  assert.equal(await ask(uri, isRevoked), `${uri} is revoked`);
  const [shown = assert.fail()] = seen;
  assert.equal(identityOfCertificate(parseCertificate(shown)), uri);
  const { certificate } = testAuthority().issue({ uris: [uri] });
  const [proven = assert.fail()] = decodePem(certificate, ['CERTIFICATE']);
  const authenticate = xdsAuthenticator({
    trustDomains,
    isRevoked: (der) => der === proven,
    provenCertificate: () => parseCertificate(proven),
    authenticateToken: () => assert.fail('a certificate counts before a token'),
  });
  const call = { peer: { verifiedCertificate: shown } } as unknown as GrpcCall;
  await assert.rejects(authenticate(call), GrpcStatusError);
});
