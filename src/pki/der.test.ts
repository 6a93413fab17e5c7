// What the writer writes the reader reads, and the reader takes nothing but DER.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isBulwarkError } from '#base/errors.ts';
import { DerReader } from '#pki/der-read.ts';
import {
  bitString,
  contextTag,
  type DerPart,
  element,
  encodeDer,
  namedBits,
  octetString,
  oid,
  sequence,
  TAG,
  TRUE,
  time,
  unsignedInteger,
} from '#pki/der-write.ts';

const reader = (part: DerPart): DerReader => new DerReader(encodeDer(part), 'thing');
const bytes = (hex: string): DerReader => new DerReader(Buffer.from(hex, 'hex'), 'thing');
const isMalformed = (error: unknown): boolean => isBulwarkError(error, 'PKI_MALFORMED');

describe('DER, written and read back', () => {
  it('keeps contents of every length', () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536, 200_000]) {
      const contents = new Uint8Array(length).fill(7);
      assert.deepEqual(reader(octetString(contents)).contents(TAG.octetString), contents);
    }
  });

  it('keeps nested elements', () => {
    const tag = contextTag(3, 'constructed');
    const outer = reader(
      sequence(TRUE, element(tag, octetString('abc')), bitString(Uint8Array.of(9))),
    );
    const inside = outer.inside(TAG.sequence);
    outer.end();
    assert.equal(inside.boolean(), true);
    assert.equal(inside.nextIs(tag), true);
    assert.deepEqual(inside.inside(tag).contents(TAG.octetString), Uint8Array.of(97, 98, 99));
    assert.deepEqual(inside.bitString(), Uint8Array.of(9));
    inside.end();
  });

  it('keeps object identifiers, known or not', () => {
    const arcs = fc.array(fc.nat(2 ** 31 - 1), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 }), fc.nat(39), arcs, (first, second, rest) => {
        const dotted = [first, second, ...rest].join('.');
        assert.equal(new DerReader(oid(dotted), 'thing').oid(), dotted);
      }),
    );
    assert.equal(new DerReader(oid('2.5.29.17'), 'thing').oid(), '2.5.29.17');
  });

  it('keeps whole numbers in their shortest form', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (number) => {
        const shortest = number.slice(number.findIndex((byte) => byte !== 0));
        const expected = number.some((byte) => byte !== 0) ? shortest : Uint8Array.of(0);
        assert.deepEqual(reader(unsignedInteger(number)).unsignedInteger(), expected);
      }),
    );
  });

  it('keeps named bits', () => {
    for (let bits = 0; bits < 2 ** 9; bits += 1)
      assert.equal(reader(namedBits(bits)).namedBits(), bits);
  });

  it('keeps times, with two digits for the year up to 2049 and four after', () => {
    const whole = fc.integer({ min: Date.UTC(1950, 0) / 1000, max: Date.UTC(9999, 0) / 1000 });
    fc.assert(
      fc.property(whole, (seconds) =>
        assert.equal(reader(time(seconds * 1000)).time(), seconds * 1000),
      ),
    );
    assert.equal(encodeDer(time(Date.UTC(2050, 0) - 1)).length, 15);
    assert.equal(encodeDer(time(Date.UTC(2050, 0))).length, 17);
  });

  it('knows which days there are', () => {
    for (const year of [1000, 1900, 1999, 2000, 2023, 2024, 2096, 2100, 2400])
      for (let month = 0; month <= 13; month += 1)
        for (let day = 0; day <= 32; day += 1) {
          const atMs = Date.UTC(year, month - 1, day);
          const written = new Date(atMs).toISOString().slice(0, 10).replaceAll('-', '');
          const digits = [month, day].map((value) => String(value).padStart(2, '0')).join('');
          const from = reader(element(TAG.generalizedTime, `${year}${digits}000000Z`));
          if (written === `${year}${digits}`) assert.equal(from.time(), atMs);
          else assert.throws(() => from.time(), isMalformed);
        }
  });
});

describe('the DER reader refuses', () => {
  const refused: Readonly<Record<string, readonly [string, (from: DerReader) => unknown]>> = {
    'another tag': ['0500', (from) => from.contents(TAG.sequence)],
    nothing: ['', (from) => from.contents(TAG.sequence)],
    'a length that goes too far': ['3003 0500', (from) => from.contents(TAG.sequence)],
    'a length that is cut off': ['3082', (from) => from.contents(TAG.sequence)],
    'an indefinite length': ['3080 0500 0000', (from) => from.contents(TAG.sequence)],
    'a long form that is not needed': ['308102 0500', (from) => from.contents(TAG.sequence)],
    'a length with a leading zero': [`30820080${'00'.repeat(128)}`, (from) => from.contents(0x30)],
    'a length of four bytes': ['3084 00000002 0500', (from) => from.contents(TAG.sequence)],
    'a tag of more than one byte': ['1f8101 00', (from) => from.contents(0x1f)],
    'something after the end': ['0500 00', readAndEnd],
    'reading on beyond an inner end': ['3002 0500 0500', readBeyond],
    'a boolean that is neither': ['010101', (from) => from.boolean()],
    'a negative number': ['0201ff', (from) => from.unsignedInteger()],
    'an empty number': ['0200', (from) => from.unsignedInteger()],
    'a number with a needless zero': ['02020001', (from) => from.unsignedInteger()],
    'a number that is too large': ['02050100000000', (from) => from.smallInteger()],
    'an empty object identifier': ['0600', (from) => from.oid()],
    'an object identifier that is cut off': ['06022a86', (from) => from.oid()],
    'an object identifier with a needless zero': ['06032a8001', (from) => from.oid()],
    'an object identifier that is too large': ['06062affffffff7f', (from) => from.oid()],
    'a bit string without its first byte': ['0300', (from) => from.bitString()],
    'a bit string of parts of bytes': ['03020480', (from) => from.bitString()],
    'named bits with zeros at the end': ['03020080', (from) => from.namedBits()],
    'named bits in too many bytes': ['030400ffffff', (from) => from.namedBits()],
    'named bits without any byte': ['0300', (from) => from.namedBits()],
    'a time with an offset': [`1711${hex('260101000000+0100')}`, (from) => from.time()],
    'a time without seconds': [`170b${hex('2601010000Z')}`, (from) => from.time()],
    'a day that does not exist': [`170d${hex('260230000000Z')}`, (from) => from.time()],
    'hour 24': [`170d${hex('260101240000Z')}`, (from) => from.time()],
    'a leap second': [`170d${hex('261231235960Z')}`, (from) => from.time()],
    'a time that is no number': [`170d${hex('26010100000xZ')}`, (from) => from.time()],
  };
  for (const [what, [text, read]] of Object.entries(refused))
    it(what, () => {
      assert.throws(() => read(bytes(text.replaceAll(' ', ''))), isMalformed);
    });
});

function readBeyond(from: DerReader): void {
  const inside = from.inside(TAG.sequence);
  inside.contents(TAG.null);
  assert.equal(inside.isAtEnd, true);
  assert.equal(inside.nextIs(TAG.null), false);
  inside.contents(TAG.null);
}

function readAndEnd(from: DerReader): void {
  from.contents(TAG.null);
  from.end();
}

function hex(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex');
}
