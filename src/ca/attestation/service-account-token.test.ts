import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import {
  type ReviewToken,
  ServiceAccountTokenAttestor,
} from '#ca/attestation/service-account-token.ts';
import { AttestorList } from '#ca/authenticator.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';

const options = { trustDomain: parseTrustDomain('td.example'), audiences: ['istio-ca', 'other'] };
const asked: (readonly [string, readonly string[]])[] = [];
const reviewToken: ReviewToken = async (token, audiences) => {
  asked.push([token, audiences]);
  return token === 'good'
    ? { authenticated: true, namespace: 'a', serviceAccount: 'b' }
    : { authenticated: false, error: 'token has expired' };
};
const authenticate = (authorization?: string) =>
  new AttestorList([new ServiceAccountTokenAttestor(options, { reviewToken })]).authenticate({
    metadata: authorization === undefined ? {} : { authorization },
    peer: { address: '127.0.0.1:1', verifiedCertificate: undefined },
  });
const isUnknown = (error: unknown) => isBulwarkError(error, 'CA_UNAUTHENTICATED');

describe('a caller with a token', () => {
  it('is the service account that the token is for, in our trust domain', async () => {
    const { identity } = await authenticate('Bearer good');
    assert.equal(identity, 'spiffe://td.example/ns/a/sa/b');
    assert.deepEqual(asked.at(-1), ['good', ['istio-ca', 'other']]);
  });

  it('is nobody when the token does not hold, and the reason is there for the log', async () => {
    await assert.rejects(authenticate('Bearer old'), /token has expired/);
    await assert.rejects(authenticate('Bearer old'), isUnknown);
  });

  it('is nobody without a bearer token, and nobody else is asked', async () => {
    const before = asked.length;
    for (const header of [undefined, '', 'Basic good', 'good'])
      await assert.rejects(authenticate(header), isUnknown);
    assert.equal(asked.length, before);
  });
});
