import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { Forwarders } from '#ca/attestation/forwarded/forwarders.ts';

const RANGES = ['172.17.0.0/16', '2001:db8:1234:1a00::/56'];

describe('proxies that may speak for their callers', () => {
  const listed = new Forwarders({ ranges: RANGES, loopback: false });

  it('are those of the blocks', () => {
    for (const address of [
      '172.17.0.2:9901',
      '[2001:0db8:1234:1a00::]:80',
      '[::ffff:172.17.0.2]:80',
    ])
      assert.ok(listed.trusts(address), address);
  });

  it('are no others, and nobody whose address is incomplete', () => {
    for (const address of [
      '172.18.0.2:9901',
      '[2001:db8:1234:1b00::]:80',
      '172.17.0.2',
      '127.0.0.1:1',
      '[::1]:1',
      'unix',
      '',
      '172.17.0.2:9901, 10.0.0.1:1',
      '172.17.0.2x:1',
    ])
      assert.ok(!listed.trusts(address), address);
  });

  it('are those of the machine itself where that is wanted, though not listed', () => {
    const local = new Forwarders({ ranges: [], loopback: true });
    for (const address of ['127.0.0.1:9901', '[::1]:9901', '[::ffff:127.0.0.1]:1']) {
      assert.ok(local.trusts(address), address);
      assert.ok(!local.isListed(address), address);
    }
    for (const address of ['127.0.0.1', '::1', '10.0.0.1:1'])
      assert.ok(!local.trusts(address), address);
  });

  it('cannot be named otherwise than by blocks', () => {
    for (const range of ['172.17.0.1', 'proxy.example/8', '10.0.0.0/33', '*', ''])
      assert.throws(
        () => new Forwarders({ ranges: [range], loopback: false }),
        (error) => isBulwarkError(error, 'SETTINGS_INVALID'),
      );
  });
});
