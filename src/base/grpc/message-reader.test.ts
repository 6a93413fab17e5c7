import assert from 'node:assert/strict';
import test from 'node:test';
import { frameMessage, GRPC_STATUS, GrpcStatusError } from './grpc.ts';
import { MessageReader } from './message-reader.ts';

const text = (messages: Iterable<Uint8Array>): string[] =>
  [...messages].map((message) => Buffer.from(message).toString());

const head = (flag: number, length: number): Buffer => {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(flag);
  bytes.writeUInt32BE(length, 1);
  return bytes;
};

const refusal = (status: number) => (error: unknown) =>
  error instanceof GrpcStatusError && error.status === status;

test('messages come out whole however the bytes are cut', () => {
  const sent = ['', 'a', 'bc'.repeat(40), ''];
  const bytes = Buffer.concat(sent.map((message) => frameMessage(Buffer.from(message))));
  for (let size = 1; size <= bytes.length; size += 1) {
    const reader = new MessageReader({ messageBytesMax: 80 });
    const received: string[] = [];
    for (let at = 0; at < bytes.length; at += size)
      received.push(...text(reader.read(bytes.subarray(at, at + size))));
    reader.finish();
    assert.deepEqual(received, sent, `pieces of ${size}`);
  }
});

test('messages that were handed out do not change when later ones arrive', () => {
  const reader = new MessageReader({ messageBytesMax: 100 });
  const first = frameMessage(Buffer.from('first'));
  const second = frameMessage(Buffer.from('other'));
  const bytes = Buffer.concat([first, second]);
  assert.deepEqual([...reader.read(Buffer.from(bytes.subarray(0, 3)))], []);
  const [kept] = [...reader.read(Buffer.from(bytes.subarray(3, 14)))];
  text(reader.read(Buffer.from(bytes.subarray(14))));
  assert.equal(Buffer.from(kept ?? []).toString(), 'first');
});

test('a message over the limit is refused at its head, one at the limit is taken', () => {
  const reader = new MessageReader({ messageBytesMax: 4 });
  assert.deepEqual(text(reader.read(frameMessage(Buffer.from('1234')))), ['1234']);
  assert.throws(() => [...reader.read(head(0, 5))], refusal(GRPC_STATUS.resourceExhausted));
});

test('a compressed message and an unknown flag are refused', () => {
  const options = { messageBytesMax: 4 };
  const read = (bytes: Buffer) => () => [...new MessageReader(options).read(bytes)];
  assert.throws(read(head(1, 0)), refusal(GRPC_STATUS.unimplemented));
  assert.throws(read(head(2, 0)), refusal(GRPC_STATUS.internal));
});

test('a request that ends within a message is refused', () => {
  const reader = new MessageReader({ messageBytesMax: 4 });
  assert.deepEqual(text(reader.read(head(0, 2))), []);
  assert.throws(() => reader.finish(), refusal(GRPC_STATUS.internal));
});

test('memory follows what arrived, not what a head announces', () => {
  const reader = new MessageReader({ messageBytesMax: 2 ** 30 });
  text(reader.read(head(0, 2 ** 30)));
  for (let count = 0; count < 1000; count += 1) text(reader.read(Buffer.from('x')));
  assert.ok(reader.heldBytes >= 1005 && reader.heldBytes < 2100, String(reader.heldBytes));
});
