import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { AddressRules } from './address-rules.ts';

const NONE = { blocked: [], allowed: [] };

describe('keys are', () => {
  const rules = new AddressRules(NONE);

  test('never fetched from this host, its links, or the metadata of a cloud', () => {
    const forbidden = [
      ['127.0.0.1', '127.9.9.9', '0.0.0.0', '::', '::1', '::ffff:127.0.0.1', '64:ff9b::7f00:1'],
      ['169.254.169.254', 'fe80::1', '::ffff:169.254.169.254', '64:ff9b::a9fe:a9fe'],
      ['2002:7f00:1::', '2002:a9fe:a9fe::', '100.100.100.200', '168.63.129.16', 'fd00:ec2::254'],
      ['224.0.0.1', '255.255.255.255', 'ff02::1', '192.0.0.192'],
      ['', 'localhost', '1.2.3', '10.0.0.0/8'],
    ].flat();
    for (const address of forbidden) assert.equal(rules.permits(address), false, address);
  });

  test('fetched from everywhere else, private networks included', () => {
    for (const address of ['10.1.2.3', '192.168.1.1', '172.16.0.1', '8.8.8.8', '2001:db8::1'])
      assert.equal(rules.permits(address), true, address);
  });
});

test('what an operator allows counts more than the defaults, what is blocked more than all', () => {
  const rules = new AddressRules({
    blocked: ['10.0.0.0/8', '127.0.0.2'],
    allowed: ['127.0.0.0/8', ' ::1/128'],
  });
  const permitted = ['127.0.0.1', '::1', '11.0.0.1'];
  for (const address of permitted) assert.equal(rules.permits(address), true, address);
  const refused = ['127.0.0.2', '10.1.1.1', '::ffff:10.1.1.1', '169.254.169.254'];
  for (const address of refused) assert.equal(rules.permits(address), false, address);
});

test('a block that is none is said at the start', () => {
  for (const block of [
    '',
    'ten',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '::/129',
    '1.2.3/8',
  ]) {
    assert.throws(
      () => new AddressRules({ ...NONE, blocked: [block] }),
      (error) => isBulwarkError(error, 'SETTINGS_INVALID') && error.message.includes(`"${block}"`),
    );
  }
});
