import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkIssuedChain } from '#agent/ca/issued-chain.ts';
import { BulwarkError } from '#base/errors.ts';
import { Secret } from '#base/secret.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { FakeAuthority } from '../../../test/fakes/fake-authority.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';

const IDENTITY = parseSpiffeId('spiffe://cluster.local/ns/photo-ns/sa/web');

/** What an authority answers, changed as a test wants, and the reason for which it is refused. */
async function check(
  change: (authority: FakeAuthority, clock: FakeClock) => void,
  keys = generateKeyPair(),
  csrKeys = keys,
): Promise<string | undefined> {
  const clock = new FakeClock();
  const authority = new FakeAuthority(clock);
  change(authority, clock);
  const chain = await authority.sign({ csr: buildCsr(IDENTITY, csrKeys) }, new Secret(''));
  try {
    checkIssuedChain(chain, { keys, identity: IDENTITY, at: clock.now() });
    return undefined;
  } catch (error) {
    assert.ok(error instanceof BulwarkError && error.code === 'AGENT_CERTIFICATE_REFUSED');
    return String(error.data.reason);
  }
}

describe('a chain from the authority', () => {
  it('that is what was asked for is used, without its root', async () => {
    const keys = generateKeyPair();
    const clock = new FakeClock();
    const authority = new FakeAuthority(clock);
    authority.tamper = ([leaf = '', root = '']) => [leaf, root, root];
    const chain = await authority.sign({ csr: buildCsr(IDENTITY, keys) }, new Secret(''));
    const issued = checkIssuedChain(chain, { keys, identity: IDENTITY, at: clock.now() });
    assert.equal(issued.chainPem, chain[0]);
    assert.equal(issued.rootsPem, authority.rootPem);
  });

  it('is refused when it does not parse or lacks a part', async () => {
    const answers: readonly (readonly string[])[] = [
      [],
      [''],
      ['', ''],
      ['garbage', 'garbage'],
      ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'x'],
    ];
    for (const answer of answers) {
      const reason = await check((authority) => {
        authority.tamper = () => answer;
      });
      assert.match(reason ?? 'taken', /parts|parse|no leaf/);
    }
  });

  it('is refused for another key', async () => {
    const reason = await check(() => {}, generateKeyPair(), generateKeyPair());
    assert.match(reason ?? 'taken', /another key/);
  });

  it('is refused for another identity, or none', async () => {
    for (const identity of ['spiffe://cluster.local/ns/photo-ns/sa/evil', 'https://a/b']) {
      const reason = await check((authority) => {
        authority.identity = identity;
      });
      assert.match(reason ?? 'taken', /was expected|SPIFFE/);
    }
  });

  it('is refused for the identity and another name', async () => {
    const reason = await check((authority) => {
      authority.otherNames = ['spiffe://cluster.local/ns/photo-ns/sa/evil'];
    });
    assert.match(reason ?? 'taken', /has 2 URI names/);
  });

  it('may name the account in another name of the trust domain, and nobody else', async () => {
    const keys = generateKeyPair();
    const clock = new FakeClock();
    const authority = new FakeAuthority(clock);
    const alias = parseSpiffeId('spiffe://new.test/ns/photo-ns/sa/web');
    const expected = { keys, identity: IDENTITY, identityAliases: [alias], at: clock.now() };
    authority.identity = alias;
    const chain = await authority.sign({ csr: buildCsr(IDENTITY, keys) }, new Secret(''));
    assert.equal(checkIssuedChain(chain, expected).identity, alias);
    authority.identity = 'spiffe://new.test/ns/photo-ns/sa/evil';
    const other = await authority.sign({ csr: buildCsr(IDENTITY, keys) }, new Secret(''));
    assert.throws(() => checkIssuedChain(other, expected), /was expected/);
  });

  it('is refused when it has expired, or is about to', async () => {
    for (const lifetimeMs of [-1000, 0, 900]) {
      const reason = await check((authority) => {
        authority.lifetimeMs = lifetimeMs;
      });
      assert.match(reason ?? 'taken', /expires in/);
    }
  });

  it('is refused when this machine is so late that it is not valid yet', async () => {
    const reason = await check((authority, clock) => {
      authority.tamper = (chain) => {
        clock.jump(-600_000);
        return chain;
      };
    });
    assert.match(reason ?? 'taken', /not valid before/);
  });

  it('is refused when the root that comes with it did not sign it', async () => {
    const stranger = new FakeAuthority(new FakeClock());
    const reason = await check((authority) => {
      authority.tamper = ([leaf = '']) => [leaf, stranger.rootPem];
    });
    assert.match(reason ?? 'taken', /verify|signed/);
  });
});
