// Between JSON text and BSON, exactly: 1 stays an integer and 1.0 a double, integers keep all digits, members keep their order.
//
// Documents are written from maps, because the driver takes fields of plain objects such as `_bsontype` or `toBSON` for its own. They are
// read from their bytes, because the driver takes a document that has `$ref` and `$id` for a reference.

import { BSON, Binary, Double, Int32, Long } from 'mongodb';
import { items, members, object } from 'session-repository/json';

const { EJSON } = BSON;

const INT32 = 2n ** 31n;

/** The narrowest BSON integer that holds a bigint. */
export const integer = (value) => (value >= -INT32 && value < INT32 ? new Int32(Number(value)) : Long.fromBigInt(value));

/** The fields of a JSON object. It is never bytes as a whole; its members can be. */
export const parseObject = (text) => new Map(members(text).map(([key, value]) => [key, parse(value)]));

/** The BSON value of JSON text. */
export function parse(text) {
  const json = text.trim();
  switch (json[0]) {
    case '{':
      return bytesOrObject(parseObject(json));
    case '[':
      return items(json).map(parse);
    case '"':
      return JSON.parse(json);
    case 't':
    case 'f':
    case 'n':
      return JSON.parse(json);
    default:
      return /^-?[0-9]+$/.test(json) && json !== '-0' ? integer(BigInt(json)) : new Double(Number(json));
  }
}

/** The marker of bytes is stored as bytes if its base64 is exactly what would be read back. */
function bytesOrObject(fields) {
  const [marker, data] = [fields.get('__bytes_encoded__'), fields.get('data')];
  if (fields.size !== 2 || marker !== true || typeof data !== 'string') return fields;
  const bytes = Buffer.from(data, 'base64');
  return bytes.toString('base64') === data ? new Binary(bytes) : fields;
}

// https://bsonspec.org/spec.html
const DOUBLE = 0x01;
const STRING = 0x02;
const DOCUMENT = 0x03;
const ARRAY = 0x04;
const BINARY = 0x05;
const UNDEFINED = 0x06;
const BOOLEAN = 0x08;
const DATE = 0x09;
const NULL = 0x0a;
const INT = 0x10;
const LONG = 0x12;

/** For the other types the bytes of a value, given what begins with it. */
const SIZES = {
  [DOUBLE]: () => 8,
  [STRING]: (bytes) => 4 + bytes.readInt32LE(),
  [DOCUMENT]: (bytes) => bytes.readInt32LE(),
  [ARRAY]: (bytes) => bytes.readInt32LE(),
  [BINARY]: (bytes) => 5 + bytes.readInt32LE(),
  [UNDEFINED]: () => 0,
  0x07: () => 12, // object id
  [BOOLEAN]: () => 1,
  [DATE]: () => 8,
  [NULL]: () => 0,
  0x0b: (bytes) => bytes.indexOf(0, bytes.indexOf(0) + 1) + 1, // regular expression
  0x0c: (bytes) => 4 + bytes.readInt32LE() + 12, // pointer
  0x0d: (bytes) => 4 + bytes.readInt32LE(), // code
  0x0e: (bytes) => 4 + bytes.readInt32LE(), // symbol
  0x0f: (bytes) => bytes.readInt32LE(), // code with scope
  [INT]: () => 4,
  0x11: () => 8, // timestamp
  [LONG]: () => 8,
  0x13: () => 16, // decimal
  0x7f: () => 0, // greatest key
  0xff: () => 0, // least key
};

/** The fields of a document: pairs of a name and a value. */
function* elements(document) {
  const bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
  for (let at = 4; bytes[at] !== 0; ) {
    const end = bytes.indexOf(0, at + 1);
    const size = SIZES[bytes[at]](bytes.subarray(end + 1));
    yield [bytes.toString('utf8', at + 1, end), new Value(bytes[at], bytes.subarray(end + 1, end + 1 + size))];
    at = end + 1 + size;
  }
}

/** The fields of a document by their names; the first one where a name occurs twice. */
export const fields = (document) => new Map([...elements(document)].reverse());

/** JSON text of the members of a document that `isOwn` picks. */
export function write(document, isOwn = () => true) {
  const own = [...elements(document)].filter(([name]) => isOwn(name));
  return object(own.map(([name, value]) => [name, value.json()]));
}

const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d+)?)([Zz]|[+-]\d\d:\d\d)?$/;

/** Whether the calendar has a date. `Date.parse` takes February 31 for March 2. */
function isDay(text) {
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

/** A stored value: its type, and its bytes. */
class Value {
  #type;
  #bytes;

  constructor(type, bytes) {
    this.#type = type;
    this.#bytes = bytes;
  }

  get isNull() {
    return this.#type === NULL;
  }

  /** The document, if it is one. */
  get document() {
    return this.#type === DOCUMENT ? this.#bytes : undefined;
  }

  /** The values of an array, if it is one. */
  get items() {
    return this.#type === ARRAY ? [...elements(this.#bytes)].map(([, value]) => value) : undefined;
  }

  get text() {
    return this.#type === STRING ? this.#bytes.toString('utf8', 4, this.#bytes.length - 1) : undefined;
  }

  /** A whole number of any type. */
  get integer() {
    if (this.#type === INT) return BigInt(this.#bytes.readInt32LE());
    if (this.#type === LONG) return this.#bytes.readBigInt64LE();
    const number = this.#type === DOUBLE ? this.#bytes.readDoubleLE() : -1;
    return Number.isSafeInteger(number) && number >= 0 ? BigInt(number) : undefined;
  }

  /** Milliseconds since 1970, of a date or of RFC 3339 text. */
  get time() {
    if (this.#type === DATE) return this.#bytes.readBigInt64LE();
    const [, date, time, zone = 'Z'] = RFC_3339.exec(this.text ?? '') ?? [];
    if (date === undefined || !isDay(date)) return undefined;
    const parsed = Date.parse(`${date}T${time}${zone.toUpperCase()}`);
    return Number.isNaN(parsed) ? undefined : BigInt(parsed);
  }

  /** JSON text. */
  json() {
    switch (this.#type) {
      case NULL:
        return 'null';
      case UNDEFINED:
        return '{"$undefined":true}';
      case BOOLEAN:
        return String(this.#bytes[0] === 1);
      case INT:
      case LONG:
        return String(this.integer);
      case DOUBLE:
        return double(this.#bytes.readDoubleLE()) ?? this.#extended();
      case STRING:
        return JSON.stringify(this.text);
      case DOCUMENT:
        return write(this.#bytes);
      case ARRAY:
        return `[${this.items.map((item) => item.json()).join(',')}]`;
      case BINARY: {
        // The old subtype has its length twice.
        const data = this.#bytes.subarray(this.#bytes[4] === 2 ? 9 : 5);
        return `{"__bytes_encoded__":true,"data":"${data.toString('base64')}"}`;
      }
      case DATE:
        return date(this.time);
      default:
        return this.#extended();
    }
  }

  /** Relaxed Extended JSON, for what JSON lacks. */
  #extended() {
    const around = Buffer.from([0, 0, 0, 0, this.#type, 0x76, 0]);
    const document = Buffer.concat([around, this.#bytes, Buffer.from([0])]);
    document.writeInt32LE(document.length);
    return EJSON.stringify(BSON.deserialize(document, { promoteValues: false }).v, { relaxed: true });
  }
}

/** A number that shows that it is no integer. */
function double(number) {
  if (!Number.isFinite(number)) return undefined;
  if (Object.is(number, -0)) return '-0.0';
  return Number.isInteger(number) && Math.abs(number) < 1e21 ? number.toFixed(1) : String(number);
}

function date(time) {
  const date = new Date(Number(time));
  const [year, isDate] = [date.getUTCFullYear(), !Number.isNaN(date.getTime())];
  return isDate && year >= 0 && year <= 9999 ? JSON.stringify(date.toISOString()) : `{"$date":{"$numberLong":"${time}"}}`;
}
