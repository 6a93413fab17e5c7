import assert from 'node:assert/strict';
import { BlockList, isIPv6 } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { addressInRange, parseAddressRange } from '#policy/authz/address-range.ts';

function isIn(range: string, address: string): boolean {
  const parsed = parseAddressRange(range);
  assert.ok(parsed, `${range} is a range`);
  return addressInRange(parsed, address);
}

describe('an address block of a policy', () => {
  it('of a single address has that address only', () => {
    assert.deepEqual(parseAddressRange('10.0.0.1'), {
      family: 'ipv4',
      address: '10.0.0.1',
      prefixLength: 32,
    });
    assert.equal(isIn('10.0.0.1', '10.0.0.1'), true);
    assert.equal(isIn('10.0.0.1', '10.0.0.2'), false);
  });

  it('has the addresses that share its first bits', () => {
    assert.equal(isIn('10.80.64.9/18', '10.80.127.255'), true);
    assert.equal(isIn('10.80.64.9/18', '10.80.128.0'), false);
    assert.equal(isIn('0.0.0.0/0', '255.1.2.3'), true);
    assert.equal(isIn('0.0.0.0/0', '::1'), false);
  });

  it('of IPv6 is compared by value, not by spelling', () => {
    assert.equal(isIn('FD00:0::/16', 'fd00:1::2'), true);
    assert.equal(isIn('fd00::/16', 'fd01::'), false);
    assert.equal(isIn('::1', '0:0:0:0:0:0:0:1'), true);
    assert.equal(isIn('::1.2.3.4', '::102:304'), true);
  });

  it('takes an IPv4 address on an IPv6 socket for the IPv4 address', () => {
    assert.equal(isIn('10.0.0.0/8', '::ffff:10.1.2.3'), true);
    assert.equal(isIn('::ffff:10.0.0.0/104', '10.1.2.3'), true);
    assert.equal(isIn('::ffff:10.0.0.0/104', '11.1.2.3'), false);
  });

  it('is none of these', () => {
    const wrong = ['', '1.2.3', '1.2.3.4/33', '::1/129', '1.2.3.4//8', '1.2.3.4/', '1.2.3.4/a'];
    for (const text of [...wrong, 'fe80::1%lo', '::ffff:1.2.3.4/95', '01.2.3.4', 'a.example'])
      assert.equal(parseAddressRange(text), undefined, text);
  });

  it('has no text that is no address', () => {
    assert.equal(isIn('0.0.0.0/0', 'nobody'), false);
    assert.equal(isIn('0.0.0.0/0', ''), false);
  });

  it('agrees with a second implementation', () => {
    const v4 = fc.ipV4();
    const v6 = fc.ipV6().filter((text) => !/^::ffff:/i.test(text));
    const bits = fc.integer({ min: 0, max: 128 });
    fc.assert(
      fc.property(fc.oneof(v4, v6), fc.oneof(v4, v6), bits, (first, address, length) => {
        const family = isIPv6(first) ? 'ipv6' : 'ipv4';
        const prefix = family === 'ipv6' ? length : length % 33;
        const list = new BlockList();
        list.addSubnet(first, prefix, family);
        const expected =
          isIPv6(address) === isIPv6(first) &&
          list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
        assert.equal(isIn(`${first}/${prefix}`, address), expected);
      }),
    );
  });
});
