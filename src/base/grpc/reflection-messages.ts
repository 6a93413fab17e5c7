import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** What a ServerReflectionRequest asks, as far as it is answered here. */
export type ReflectionQuestion =
  | { readonly type: 'listServices' }
  | { readonly type: 'fileByName' | 'fileOfSymbol'; readonly name: string }
  | { readonly type: 'other' };

/** The answer to one question. */
export type ReflectionAnswer =
  | { readonly services: readonly string[] }
  /** Encoded FileDescriptorProtos. */
  | { readonly files: readonly Uint8Array[] }
  | { readonly error: { readonly code: number; readonly message: string } };

/** Numbers of the fields of ServerReflectionRequest that are read. */
const REQUEST = { fileByName: 3, fileOfSymbol: 4, listServices: 7 } as const;
/** Numbers of the fields of ServerReflectionResponse. */
const RESPONSE = { host: 1, request: 2, files: 4, services: 6, error: 7 } as const;

/**
 * Reads a grpc.reflection ServerReflectionRequest (v1 and v1alpha are the same on the wire).
 * @throws Error when the bytes are no such message
 */
export function decodeReflectionRequest(bytes: Uint8Array): ReflectionQuestion {
  const reader = new BinaryReader(bytes);
  let question: ReflectionQuestion = { type: 'other' };
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (type !== WireType.LengthDelimited) {
      reader.skip(type, field);
      continue;
    }
    const bytesOfField = reader.bytes();
    const name = Buffer.from(bytesOfField).toString('utf8');
    if (field === REQUEST.listServices) question = { type: 'listServices' };
    if (field === REQUEST.fileByName) question = { type: 'fileByName', name };
    if (field === REQUEST.fileOfSymbol) question = { type: 'fileOfSymbol', name };
  }
  return question;
}

/** Writes a ServerReflectionResponse to `request`, which goes back with it. */
export function encodeReflectionResponse(
  request: Uint8Array,
  answer: ReflectionAnswer,
): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(RESPONSE.request, WireType.LengthDelimited).bytes(request);
  if ('services' in answer) {
    writer.tag(RESPONSE.services, WireType.LengthDelimited).fork();
    for (const name of answer.services) {
      writer.tag(1, WireType.LengthDelimited).fork();
      writer.tag(1, WireType.LengthDelimited).string(name).join();
    }
    writer.join();
  } else if ('files' in answer) {
    writer.tag(RESPONSE.files, WireType.LengthDelimited).fork();
    for (const file of answer.files) writer.tag(1, WireType.LengthDelimited).bytes(file);
    writer.join();
  } else {
    writer.tag(RESPONSE.error, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.Varint).int32(answer.error.code);
    writer.tag(2, WireType.LengthDelimited).string(answer.error.message).join();
  }
  return writer.finish();
}
