import { inflateRawSync } from 'node:zlib';
import { SetupError } from './setup-error.js';

const END_OF_CENTRAL_DIRECTORY = 0x06054b50;
const CENTRAL_ENTRY = 0x02014b50;

/**
 * One file out of a ZIP archive held in memory (APPNOTE 4.3: end record, central directory, local
 * header).
 * @param {Buffer} zip @param {string} wanted @returns {Buffer}
 */
export function extractFromZip(zip, wanted) {
  let end = zip.length - 22;
  while (end >= 0 && zip.readUInt32LE(end) !== END_OF_CENTRAL_DIRECTORY) end -= 1;
  const count = end >= 0 ? zip.readUInt16LE(end + 10) : 0;
  let at = end >= 0 ? zip.readUInt32LE(end + 16) : 0;
  for (let entry = 0; entry < count && zip.readUInt32LE(at) === CENTRAL_ENTRY; entry += 1) {
    const nameLength = zip.readUInt16LE(at + 28);
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength);
    if (name === wanted) return readEntry(zip, at);
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  throw new SetupError(`the archive holds no ${wanted}`, [
    'remove the cache directory and run this again',
  ]);
}

function readEntry(zip, central) {
  const method = zip.readUInt16LE(central + 10);
  const size = zip.readUInt32LE(central + 20);
  const local = zip.readUInt32LE(central + 42);
  const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
  const data = zip.subarray(start, start + size);
  return method === 0 ? data : inflateRawSync(data);
}
