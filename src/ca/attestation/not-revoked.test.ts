import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NotRevoked, type RevocablePeer } from '#ca/attestation/not-revoked.ts';
import type { AttestedCall, ProvenCaller } from '#ca/authenticator.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';

const identity = parseSpiffeId('spiffe://cluster.local/ns/web/sa/thief');
const call = {} as AttestedCall;

function attestor(caller: ProvenCaller | undefined, isRevoked: (peer: RevocablePeer) => boolean) {
  return new NotRevoked({ attest: async () => caller }, isRevoked);
}

test('a caller that is not revoked is who it was before', async () => {
  const caller = { identity, method: 'certificate', proof: 'ab' } as const;
  assert.equal(await attestor(caller, () => false).attest(call), caller);
  assert.equal(await attestor(undefined, () => true).attest(call), undefined);
});

test('a revoked certificate proves nothing, another proof of the same caller does', async () => {
  const isRevoked = ({ serial }: RevocablePeer): boolean => serial === 'ab';
  const own = { identity, method: 'certificate', proof: 'ab' } as const;
  await assert.rejects(attestor(own, isRevoked).attest(call), { code: 'CA_UNAUTHENTICATED' });
  const token = { identity, method: 'service-account-token', proof: 'ab' } as const;
  assert.equal(await attestor(token, isRevoked).attest(call), token);
});

test('nothing proves a revoked identity', async () => {
  const isRevoked = (peer: RevocablePeer): boolean => peer.identity === identity;
  for (const method of ['certificate', 'join-token', 'service-account-token'] as const) {
    const refused = attestor({ identity, method, proof: 'x' }, isRevoked).attest(call);
    await assert.rejects(refused, { code: 'CA_UNAUTHENTICATED' });
  }
});
