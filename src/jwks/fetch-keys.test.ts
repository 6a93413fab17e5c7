// Keys are fetched from where they are, and nothing else is.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { describeError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { KeySource } from '#model/key-sets.ts';
import { startKeyServer } from '../../test/kit/key-server.ts';
import { temporaryDirectory } from '../../test/kit/temp-directory.ts';
import { testAuthority } from '../../test/kit/test-authority.ts';
import { TokenIssuer } from '../../test/kit/token-issuer.ts';
import { AddressRules } from './address-rules.ts';
import { ExtraRoots } from './extra-roots.ts';
import type { FetchDocumentDeps } from './fetch-document.ts';
import { fetchKeys } from './fetch-keys.ts';

const { keySet, key, privateKey } = new TokenIssuer('https://issuer.test');
const LOOPBACK: FetchDocumentDeps = {
  rules: new AddressRules({ blocked: [], allowed: ['127.0.0.1'] }),
  roots: new ExtraRoots([]),
};
const NOWHERE: FetchDocumentDeps = {
  ...LOOPBACK,
  rules: new AddressRules({ blocked: [], allowed: [] }),
};

function fetched(source: KeySource, deps = LOOPBACK, timeoutMs = 5000) {
  return fetchKeys(source, { timeoutMs }, deps);
}

async function problem(source: KeySource, deps = LOOPBACK, timeoutMs = 5000): Promise<string> {
  try {
    await fetched(source, deps, timeoutMs);
  } catch (error) {
    return describeError(error);
  }
  return 'none';
}

describe('the keys of an issuer', () => {
  test('are fetched from a URL, over redirects', async (t) => {
    const server = await startKeyServer(t);
    server.serve('/keys', keySet);
    server.serve('/old', (_, response) => response.writeHead(302, { location: '/keys' }).end());
    for (const path of ['/keys', '/old']) {
      assert.deepEqual(await fetched(`keys ${server.url}${path}`), {
        text: keySet,
        count: 1,
        warnings: [],
      });
    }
  });

  test('are found by asking the issuer', async (t) => {
    const server = await startKeyServer(t);
    const document = { issuer: server.url, jwks_uri: `${server.url}/keys` };
    server.serve('/.well-known/openid-configuration', JSON.stringify(document));
    server.serve('/keys', keySet);
    assert.equal((await fetched(`issuer ${server.url}`)).text, keySet);
    assert.deepEqual(server.asked, ['/.well-known/openid-configuration', '/keys']);
  });

  test('are not taken from an issuer that speaks for another, or is no URL', async (t) => {
    const server = await startKeyServer(t);
    const at = '/.well-known/openid-configuration';
    server.serve(at, JSON.stringify({ issuer: 'https://other', jwks_uri: `${server.url}/keys` }));
    assert.match(await problem(`issuer ${server.url}`), /speaks for "https:\/\/other"/);
    server.serve(at, JSON.stringify({ issuer: server.url }));
    assert.match(await problem(`issuer ${server.url}`), /does not say where its keys are/);
    server.serve(at, '<html>');
    assert.match(await problem(`issuer ${server.url}`), /no document of discovery/);
    assert.match(await problem('issuer someone@issuer.test'), /is no URL.*jwksUri/);
  });

  test('lose private parts and shared secrets', async (t) => {
    const server = await startKeyServer(t);
    server.serve('/keys', JSON.stringify({ keys: [privateKey, { kty: 'oct', k: 'c2VjcmV0' }] }));
    const { text, count } = await fetched(`keys ${server.url}/keys`);
    assert.equal(count, 1);
    assert.ok(!text.includes(String(privateKey.d)));
    assert.ok(!text.includes('c2VjcmV0'));
    assert.ok(text.includes(String(key.x)));
  });
});

describe('nothing is fetched', () => {
  test('from an address that is forbidden, however it is written', async (t) => {
    const server = await startKeyServer(t);
    server.serve('/keys', keySet);
    const hosts = ['127.0.0.1', '2130706433', '0x7f.1', '[::1]', '[::ffff:127.0.0.1]', 'localhost'];
    for (const host of hosts) {
      const said = await problem(`keys http://${host}:${server.port}/keys`, NOWHERE);
      assert.match(said, /may not be asked.*jwksAllowedAddresses/, host);
    }
    assert.match(await problem('keys http://169.254.169.254/latest/meta-data'), /may not be asked/);
    assert.deepEqual(server.asked, []);
  });

  test('from a name that leads to such an address', async (t) => {
    const server = await startKeyServer(t);
    server.serve('/keys', keySet);
    const lookup = async () => [{ address: '127.0.0.1', family: 4 }];
    const source: KeySource = `keys http://issuer.test:${server.port}/keys`;
    assert.match(await problem(source, { ...NOWHERE, lookup }), /127.0.0.1 may not be asked/);
    assert.equal((await fetched(source, { ...LOOPBACK, lookup })).text, keySet);
  });

  test('from such an address by a redirect', async (t) => {
    const server = await startKeyServer(t);
    const location = 'http://169.254.169.254/latest/meta-data';
    server.serve('/keys', (_, response) => response.writeHead(307, { location }).end());
    assert.match(await problem(`keys ${server.url}/keys`), /169.254.169.254 may not be asked/);
  });

  test('without end: too many redirects, too many bytes, too late', async (t) => {
    const server = await startKeyServer(t);
    server.serve('/loop', (_, response) => response.writeHead(302, { location: '/loop' }).end());
    assert.match(await problem(`keys ${server.url}/loop`), /redirects more than 3 times/);
    assert.equal(server.asked.length, 1 + LIMITS.jwksRedirectsMax);
    server.serve('/long', ' '.repeat(LIMITS.jwksBytesMax + 1));
    assert.match(await problem(`keys ${server.url}/long`), /more than 262144 bytes/);
    server.serve('/never', () => {});
    assert.match(await problem(`keys ${server.url}/never`, LOOPBACK, 50), /no answer in time/);
    server.serve('/slow', (_, response) => void response.writeHead(200).write('{'));
    assert.match(await problem(`keys ${server.url}/slow`, LOOPBACK, 50), /no answer in time/);
  });

  test('that is no key set, and nothing of it is repeated', async (t) => {
    const server = await startKeyServer(t);
    server.serve('/html', '<html>secret</html>');
    const said = await problem(`keys ${server.url}/html`);
    assert.match(said, /no key set: it is not JSON/);
    assert.doesNotMatch(said, /secret/);
    server.serve('/none', '{"keys":[]}');
    assert.match(await problem(`keys ${server.url}/none`), /no key that a proxy can use/);
    assert.match(await problem(`keys ${server.url}/missing?token=abc`), /answers 404/);
    assert.doesNotMatch(await problem(`keys ${server.url}/missing?token=abc`), /abc/);
    assert.match(await problem('keys file:///etc/passwd'), /no URL of http/);
  });
});

describe('a server of keys with TLS', () => {
  const authority = testAuthority();
  const { certificate, privateKey: serverKey } = authority.issue({ ipAddresses: ['127.0.0.1'] });

  test('is verified with the usual roots, or with those of its host or of all', async (t) => {
    const server = await startKeyServer(t, { certificate, privateKey: serverKey });
    server.serve('/keys', keySet);
    const path = join(temporaryDirectory(t), 'roots.pem');
    writeFileSync(path, authority.root);
    const source: KeySource = `keys ${server.url}/keys`;
    const withRoots = (...entries: string[]) => ({ ...LOOPBACK, roots: new ExtraRoots(entries) });
    assert.match(await problem(source), /certificate/);
    assert.match(await problem(source, withRoots(`other.test=${path}`)), /certificate/);
    assert.match(await problem(source, withRoots(`${path}.none`)), /cannot read the roots/);
    for (const entry of [path, `127.0.0.1=${path}`]) {
      assert.equal((await fetched(source, withRoots(entry))).text, keySet);
    }
  });

  test('may not send us to one without', async (t) => {
    const plain = await startKeyServer(t);
    plain.serve('/keys', keySet);
    const server = await startKeyServer(t, { certificate, privateKey: serverKey });
    const location = `${plain.url}/keys`;
    server.serve('/keys', (_, response) => response.writeHead(302, { location }).end());
    const path = join(temporaryDirectory(t), 'roots.pem');
    writeFileSync(path, authority.root);
    const deps = { ...LOOPBACK, roots: new ExtraRoots([path]) };
    assert.match(await problem(`keys ${server.url}/keys`, deps), /from https to http/);
    assert.deepEqual(plain.asked, []);
  });
});
