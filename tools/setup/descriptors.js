import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';

/** FileDescriptorProto fields (descriptor.proto) and the wire type each is written with. */
const WIRE_TYPE_OF_FIELD = {
  1: 2,
  2: 2,
  3: 2,
  4: 2,
  5: 2,
  6: 2,
  7: 2,
  8: 2,
  9: 2,
  10: 0,
  11: 0,
  12: 2,
  14: 0,
  15: 2,
};
const NAME_TAG = 0x0a;
const NAME_LENGTH_MAX = 127;

/**
 * Every file descriptor that a protobuf C++ program carries, by file name. Generated code embeds
 * each .proto file as a serialized FileDescriptorProto, fields in number order, so it is found by
 * its name field and read field by field.
 * @param {Buffer} binary @returns {Map<string,
 * import('@bufbuild/protobuf/wkt').FileDescriptorProto>}
 */
export function descriptorsInBinary(binary) {
  const found = new Map();
  const needle = Buffer.from('.proto');
  for (let at = binary.indexOf(needle); at >= 0; at = binary.indexOf(needle, at + 1)) {
    const start = startOfName(binary, at + needle.length);
    if (start === undefined) continue;
    const descriptor = readDescriptor(binary, start);
    if (descriptor && betterThan(descriptor, found.get(descriptor.name)))
      found.set(descriptor.name, descriptor);
  }
  return found;
}

/** The offset of the tag byte of the name field that ends at `end`, when there is one. */
function startOfName(binary, end) {
  for (let length = 7; length <= NAME_LENGTH_MAX && end - length - 2 >= 0; length += 1) {
    const start = end - length - 2;
    if (binary[start] === NAME_TAG && binary[start + 1] === length) return start;
    const byte = binary[end - length];
    if (byte === undefined || byte < 0x21 || byte > 0x7e) return undefined;
  }
  return undefined;
}

function readDescriptor(binary, start) {
  let at = start;
  let lastField = 0;
  while (at < binary.length) {
    const field = binary[at] >> 3;
    const wireType = binary[at] & 7;
    const inOrder =
      field === lastField
        ? field >= 3 && field <= 11
        : field > lastField || lastField === 3 || lastField === 10;
    if (!inOrder || binary[at] >= 0x80 || WIRE_TYPE_OF_FIELD[field] !== wireType) break;
    const [value, afterValue] = readVarint(binary, at + 1);
    const next = wireType === 2 ? afterValue + value : afterValue;
    if (next > binary.length || value > 4_000_000) break;
    at = next;
    lastField = field;
  }
  try {
    const descriptor = fromBinary(FileDescriptorProtoSchema, binary.subarray(start, at));
    return descriptor.name.endsWith('.proto') ? descriptor : undefined;
  } catch {
    return undefined; // a name that only looked like the start of a descriptor
  }
}

function betterThan(candidate, known) {
  return !known || size(candidate) > size(known);
}

function size(descriptor) {
  return (
    descriptor.messageType.length +
    descriptor.enumType.length +
    descriptor.service.length +
    descriptor.extension.length
  );
}

function readVarint(binary, at) {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = binary[at] ?? 0;
    at += 1;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  return [value, at];
}
