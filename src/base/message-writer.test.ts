// What is written in one go has the bytes that the writer of the generated code writes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { encodeMessage, field } from '#base/message-writer.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('a message is written as by the generated code', () => {
  for (const value of [0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32 + 5, 2 ** 53 - 1])
    it(`with the number ${value}`, () => {
      const theirs = new BinaryWriter().tag(3, WireType.Varint).uint64(value).finish();
      assert.equal(hex(encodeMessage(field(3, value))), hex(theirs));
    });

  for (const length of [0, 1, 127, 128, 16_383, 16_384, 3_000_000])
    it(`with text and bytes of length ${length}`, () => {
      const text = 'x'.repeat(length);
      const theirs = new BinaryWriter().tag(1, WireType.LengthDelimited).string(text);
      theirs.tag(15, WireType.LengthDelimited).bytes(Buffer.from(text));
      const ours = encodeMessage(field(1, text), field(15, Buffer.from(text)));
      assert.ok(ours.equals(theirs.finish()));
    });

  it('with text beyond ASCII, whose bytes are more than its characters', () => {
    const text = `${'ä€😀'.repeat(20)}z`;
    const theirs = new BinaryWriter().tag(2, WireType.LengthDelimited).string(text).finish();
    assert.equal(hex(encodeMessage(field(2, text))), hex(theirs));
  });

  it('with messages in messages, empty ones too', () => {
    const theirs = new BinaryWriter();
    theirs.tag(4, WireType.LengthDelimited).fork();
    theirs.tag(1, WireType.LengthDelimited).string('name');
    theirs.tag(2, WireType.LengthDelimited).fork();
    theirs.tag(7, WireType.Varint).uint32(300);
    theirs.join().join();
    theirs.tag(5, WireType.LengthDelimited).fork().join();
    const inner = field(2, [field(7, 300)]);
    const ours = encodeMessage(field(4, [field(1, 'name'), inner]), field(5, []));
    assert.equal(hex(ours), hex(theirs.finish()));
  });

  it('without any field: no bytes', () => {
    assert.equal(encodeMessage().length, 0);
  });
});

describe('a field', () => {
  it('whose tag would be longer than a byte is a mistake of ours', () => {
    assert.equal(encodeMessage(field(15, 1)).length, 2);
    assert.throws(() => field(16, 1), /BUG/);
  });
});
