// SPIFFE ids are taken in their one standard form and in no other.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isBulwarkError } from '#base/errors.ts';
import {
  parseSpiffeId,
  parseTrustDomain,
  parseWorkloadId,
  workloadSpiffeId,
} from '#spiffe/spiffe-id.ts';

const trustDomain = parseTrustDomain('cluster.local');
const isInvalid = (error: unknown): boolean => isBulwarkError(error, 'SPIFFE_INVALID');

describe('a trust domain', () => {
  for (const name of ['cluster.local', 'a', '1', 'a-b_c.d', 'x'.repeat(255)])
    it(`may be ${name.slice(0, 20)} (${name.length})`, () => {
      assert.equal(parseTrustDomain(name), name);
    });

  const refused = {
    'an empty one': '',
    'upper case': 'Cluster.local',
    'a port': 'cluster.local:443',
    'user information': 'user@cluster.local',
    'percent-encoding': 'cluster%2elocal',
    'a NUL': 'cluster.local\0',
    'a slash': 'cluster/local',
    'a letter that only looks right': 'сluster.local',
    'a line end': 'cluster.local\n',
    '256 bytes': 'x'.repeat(256),
  };
  for (const [what, name] of Object.entries(refused))
    it(`is refused with ${what}`, () => {
      assert.throws(() => parseTrustDomain(name), isInvalid);
    });
});

describe('a SPIFFE id', () => {
  const longest = `spiffe://cluster.local/${'x'.repeat(2048 - 23)}`;
  for (const id of ['spiffe://cluster.local/ns/a/sa/b', 'spiffe://td/A.b-c_9', longest])
    it(`may be ${id.slice(0, 40)} (${id.length})`, () => {
      assert.equal(parseSpiffeId(id), id);
    });

  const refused = {
    'another scheme': 'https://cluster.local/ns/a/sa/b',
    'a scheme in upper case': 'SPIFFE://cluster.local/ns/a/sa/b',
    'no path': 'spiffe://cluster.local',
    'an empty path': 'spiffe://cluster.local/',
    'no trust domain': 'spiffe:///ns/a/sa/b',
    'an empty segment': 'spiffe://cluster.local/ns//sa/b',
    'a slash at the end': 'spiffe://cluster.local/ns/a/sa/b/',
    'a dot segment': 'spiffe://cluster.local/ns/./sa/b',
    'a dot-dot segment': 'spiffe://cluster.local/ns/a/../b',
    'percent-encoding': 'spiffe://cluster.local/ns/%61/sa/b',
    'a query': 'spiffe://cluster.local/ns/a/sa/b?x',
    'a fragment': 'spiffe://cluster.local/ns/a/sa/b#x',
    'a port': 'spiffe://cluster.local:80/ns/a/sa/b',
    'user information': 'spiffe://u@cluster.local/ns/a/sa/b',
    'a NUL': 'spiffe://cluster.local/ns/a/sa/b\0evil',
    'white space': ' spiffe://cluster.local/ns/a/sa/b',
    '2049 bytes': `${longest}x`,
  };
  for (const [what, id] of Object.entries(refused))
    it(`is refused with ${what}`, () => {
      assert.throws(() => parseSpiffeId(id), isInvalid);
    });

  it('does not put what it refuses into a message as it came', () => {
    assert.throws(
      () => parseSpiffeId(`\x1b[2J${'x'.repeat(5000)}`),
      (error: Error) => {
        assert.ok(error.message.length < 300);
        assert.ok(!error.message.includes('\x1b'));
        return true;
      },
    );
  });
});

describe('the id of a workload', () => {
  it('is made of trust domain, namespace and service account', () => {
    const id = workloadSpiffeId({ trustDomain, namespace: 'photo-ns', serviceAccount: 'a.b' });
    assert.equal(id, 'spiffe://cluster.local/ns/photo-ns/sa/a.b');
  });

  for (const name of ['', '..', 'a/b', 'a/sa/root', 'a%2fb', 'a\0', 'ä'])
    it(`is refused for the name ${JSON.stringify(name)}`, () => {
      const good = { trustDomain, namespace: 'a', serviceAccount: 'b' };
      assert.throws(() => workloadSpiffeId({ ...good, namespace: name }), isInvalid);
      assert.throws(() => workloadSpiffeId({ ...good, serviceAccount: name }), isInvalid);
    });

  it('reads back as what it was made of', () => {
    const name = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?$/);
    fc.assert(
      fc.property(name, name, (namespace, serviceAccount) => {
        const identity = { trustDomain, namespace, serviceAccount };
        assert.deepEqual(parseWorkloadId(workloadSpiffeId(identity)), identity);
      }),
    );
  });

  for (const path of ['x', 'ns/a', 'ns/a/sa', 'ns/a/sa/b/c', 'sa/b/ns/a', 'ns/a/user/b'])
    it(`is not read out of /${path}`, () => {
      assert.equal(parseWorkloadId(parseSpiffeId(`spiffe://cluster.local/${path}`)), undefined);
    });
});
