// NumPy's files: an .npz is a zip of .npy.

import { readFileSync, writeFileSync } from "node:fs";
import { inflateRawSync } from "node:zlib";
import { Tensor } from "./arrays.mjs";

const TYPES = {
  "<f4": Float32Array, "<f8": Float64Array, "<i4": Int32Array, "<i8": BigInt64Array,
};

/** The arrays of a file by name: { name: { tensor, type } }, or { name: { text } }. */
export function readNpz(path) {
  const entries = [...zipEntries(readFileSync(path))];
  return Object.fromEntries(entries.map(([name, bytes]) => (
    [name.replace(/\.npy$/, ""), readNpy(bytes)]
  )));
}

/** Write arrays { name: { shape, data, type } }, uncompressed. */
export function writeNpz(path, arrays) {
  const entries = Object.entries(arrays);
  writeFileSync(path, zipOf(entries.map(([name, array]) => [`${name}.npy`, npyOf(array)])));
}

function readNpy(bytes) {
  if (bytes.toString("latin1", 0, 6) !== "\x93NUMPY") throw new Error("not a .npy");
  const [start, length] = bytes[6] === 1
    ? [10, bytes.readUInt16LE(8)]
    : [12, bytes.readUInt32LE(8)];
  const header = bytes.toString("latin1", start, start + length);
  const type = /'descr': '([^']*)'/.exec(header)[1];
  const values = bytes.subarray(start + length);
  const aligned = values.buffer.slice(values.byteOffset, values.byteOffset + values.length);
  if (type.startsWith("<U")) return { text: String.fromCodePoint(...new Uint32Array(aligned)) };
  if (!(type in TYPES)) throw new Error(`numbers of the type ${type}`);
  if (!/'fortran_order': False/.test(header)) throw new Error(`not in C order: ${header}`);
  const shape = [.../'shape': \(([^)]*)\)/.exec(header)[1].matchAll(/\d+/g)].map(Number);
  const data = Float64Array.from(new TYPES[type](aligned), Number);
  return { tensor: new Tensor(shape, data), type };
}

function npyOf({ shape, data, type }) {
  const axes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const words = `{'descr': '${type}', 'fortran_order': False, 'shape': (${axes}), }`;
  const length = Math.ceil((10 + words.length + 1) / 64) * 64 - 10; // the numbers begin at 64s
  const start = Buffer.from(`\x93NUMPY\x01\x00..${words.padEnd(length - 1)}\n`, "latin1");
  start.writeUInt16LE(length, 8);
  const numbers = TYPES[type].from(data, type === "<i8" ? BigInt : Number);
  return Buffer.concat([start, Buffer.from(numbers.buffer)]);
}

// A zip: each entry's bytes behind a local header, then the directory of all, then its end.
const [LOCAL, DIRECTORY, END] = [0x04034b50, 0x02014b50, 0x06054b50];

function* zipEntries(bytes) {
  const end = bytes.lastIndexOf("PK\x05\x06", undefined, "latin1");
  if (end < 0) throw new Error("not a zip");
  let at = bytes.readUInt32LE(end + 16);
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    const [nameLength, extra, comment] = [28, 30, 32].map((n) => bytes.readUInt16LE(at + n));
    const method = bytes.readUInt16LE(at + 10);
    const packed = bytes.readUInt32LE(at + 20);
    const local = bytes.readUInt32LE(at + 42);
    const name = bytes.toString("utf8", at + 46, at + 46 + nameLength);
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const content = bytes.subarray(start, start + packed);
    yield [name, method === 0 ? content : inflateRawSync(content)];
    at += 46 + nameLength + extra + comment;
  }
}

function zipOf(entries) {
  const [parts, directory] = [[], []];
  let offset = 0;
  for (const [name, content] of entries) {
    const title = Buffer.from(name);
    // Version 2.0, no flags, stored, 1 January 1980; what both headers have.
    const common = numbers([[2, 20], [2, 0], [2, 0], [2, 0], [2, 0x21], [4, crc32(content)],
      [4, content.length], [4, content.length], [2, title.length], [2, 0]]);
    const behind = numbers([[2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]);
    directory.push(numbers([[4, DIRECTORY], [2, 20]]), common, behind, title);
    const local = Buffer.concat([numbers([[4, LOCAL]]), common, title, content]);
    parts.push(local);
    offset += local.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = numbers([[4, END], [2, 0], [2, 0], [2, entries.length], [2, entries.length],
    [4, size], [4, offset], [2, 0]]);
  return Buffer.concat([...parts, ...directory, end]);
}

/** Little-endian numbers of [bytes, value]. */
function numbers(fields) {
  return Buffer.concat(fields.map(([bytes, value]) => {
    const field = Buffer.alloc(bytes);
    field.writeUIntLE(value, 0, bytes);
    return field;
  }));
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

function crc32(bytes) {
  let rest = 0xffffffff;
  for (const byte of bytes) rest = CRC[(rest ^ byte) & 0xff] ^ (rest >>> 8);
  return (rest ^ 0xffffffff) >>> 0;
}
