// A join token gives one certificate, to who holds it, in time, from where it may come, and nobody
// else.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { JoinTokenAttestor } from '#ca/attestation/join-token.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { identityOfCertificate } from '#pki/certificate-identity.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { CALLER, openCsrService, refused } from '../../../test/kit/csr-service.ts';
import { makeJoinToken, storeWithAccount } from '../../../test/kit/join-token.ts';
import { TEST_TRUST_DOMAIN } from '../../../test/kit/test-root.ts';

const MINUTE_MS = 60_000;
const isUnknown = refused(GRPC_STATUS.unauthenticated, /^request authenticate failure$/);
const csr = () => buildCsr(CALLER, generateKeyPair());

async function setUp(t: TestContext) {
  const authorities = [parseSpiffeId('spiffe://cluster.local/ns/photo-ns/sa/db')];
  const { store, accountUid } = await storeWithAccount(t, new FakeClock());
  const opened = await openCsrService(t, undefined, {
    authorities,
    attestors: (clock) => [
      new JoinTokenAttestor({ trustDomain: TEST_TRUST_DOMAIN }, { store, clock }),
    ],
  });
  const { ask, clock, lines } = opened;
  const make = (changes: { ttlMs?: number; cidr?: string; accountUid?: string } = {}) => {
    const { ttlMs = 10 * MINUTE_MS, ...rest } = changes;
    return makeJoinToken(store, { accountUid, expiresAt: clock.now() + ttlMs, ...rest });
  };
  const present = (token: string, from = '127.0.0.1:1', metadata: JsonObject = {}) =>
    ask({ csr: csr(), authorization: `Bearer ${token}`, from, metadata });
  const said = (text: string): boolean => lines.some((line) => line.includes(text));
  return { ...opened, store, make, present, said };
}

describe('a machine with a join token', () => {
  it('gets a certificate for what the token is bound to, and it is in the journal', async (t) => {
    const { make, present, records, said } = await setUp(t);
    const token = await make();
    const [leaf] = (await present(token)).flatMap((pem) => parseCertificatesPem(pem));
    assert.ok(leaf);
    assert.equal(identityOfCertificate(leaf), 'spiffe://cluster.local/ns/photo-ns/sa/db');
    const [record] = records;
    assert.deepEqual([record?.method, record?.proof], ['join-token', token.split('_')[2]]);
    assert.ok(!said(token));
  });

  it('gets one, however often it asks', async (t) => {
    const { make, present, said, counted } = await setUp(t);
    const token = await make();
    await present(token);
    await assert.rejects(present(token), isUnknown);
    assert.ok(said('was used before'));
    assert.equal(await counted('citadel_server_authentication_failure_count'), 1);
  });

  it('gets one of ten that ask at once', async (t) => {
    const { make, present, records, said } = await setUp(t);
    const token = await make();
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => present(token)));
    const got = outcomes.filter(({ status }) => status === 'fulfilled');
    assert.equal(got.length, 1);
    assert.equal(records.length, 1);
    assert.ok(said('at the same moment'));
  });

  it('gets one authority below this one, and nothing more by the same token', async (t) => {
    const { make, present, records, said } = await setUp(t);
    const token = await make();
    const below = () => present(token, undefined, { BulwarkAuthority: 'intermediate' });
    const outcomes = await Promise.allSettled([below(), below()]);
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    await assert.rejects(present(token), isUnknown);
    assert.equal(records.length, 1);
    assert.ok(said('was used before'));
  });

  it('gets none after a crash between the claim and the signature', async (t) => {
    const { make, present, store } = await setUp(t);
    const token = await make();
    const attestor = new JoinTokenAttestor(
      { trustDomain: TEST_TRUST_DOMAIN },
      { store, clock: new FakeClock() },
    );
    const peer = { address: '127.0.0.1:1', verifiedCertificate: undefined };
    const caller = await attestor.attest({ metadata: { authorization: `Bearer ${token}` }, peer });
    await caller?.claim?.();
    await assert.rejects(present(token), isUnknown);
  });

  it('keeps its token when its request is bad', async (t) => {
    const { make, present, ask } = await setUp(t);
    const token = await make();
    await assert.rejects(ask({ csr: 'garbage', authorization: `Bearer ${token}` }));
    assert.equal((await present(token)).length, 2);
  });

  it('gets none when the time of the token is over', async (t) => {
    const { make, present, clock, said } = await setUp(t);
    const token = await make({ ttlMs: MINUTE_MS });
    clock.advance(MINUTE_MS);
    await assert.rejects(present(token), isUnknown);
    assert.ok(said('has expired'));
  });

  it('gets none from another address than the token is for', async (t) => {
    const { make, present, said } = await setUp(t);
    const token = await make({ cidr: '10.1.0.0/16' });
    for (const from of ['10.2.0.1:99', '[fd00::1]:99', 'unix', '127.0.0.1:10'])
      await assert.rejects(present(token, from), isUnknown);
    assert.ok(said('is not for this address'));
    assert.equal((await present(token, '10.1.2.3:99')).length, 2);
  });

  it('gets none when its service account is gone, or another one of that name', async (t) => {
    const { make, present, store, said } = await setUp(t);
    const old = await make();
    await store.delete({ kind: 'serviceaccounts', namespace: 'photo-ns', name: 'db' });
    await assert.rejects(present(old), isUnknown);
    const apiVersion = 'v1';
    const metadata = { name: 'db', namespace: 'photo-ns' };
    await store.create({ apiVersion, kind: 'ServiceAccount', metadata });
    await assert.rejects(present(old), isUnknown);
    assert.ok(said('service account that is gone'));
  });

  it('gets none with a token that was revoked, or one that was made up', async (t) => {
    const { make, present, store } = await setUp(t);
    const token = await make();
    const [, namespace = '', id] = token.split('_');
    const guess = randomBytes(32).toString('base64url');
    await assert.rejects(present(`bwj_${namespace}_${id}_${guess}`), isUnknown);
    await assert.rejects(present(token.replace('photo-ns', 'other-ns')), isUnknown);
    await store.delete({ kind: 'secrets', namespace, name: `bulwark-join-${id}` });
    await assert.rejects(present(token), isUnknown);
  });

  it('gets none by an ordinary Secret of the same name', async (t) => {
    const { make, present, store } = await setUp(t);
    const token = await make();
    const [, namespace = '', id] = token.split('_');
    const key = { kind: 'secrets', namespace, name: `bulwark-join-${id}` };
    const object = (await store.get(key)) ?? assert.fail('no Secret');
    await store.delete(key);
    await store.create(Object.assign({}, object, { type: 'Opaque' }));
    await assert.rejects(present(token), isUnknown);
  });
});
