// Values of the conformance data: JSON in which 1 and 1.0 differ, and the placeholders in it.

const byteLength = (text) => new TextEncoder().encode(text).length;

/** A number that is no 64-bit integer. Integers are bigints. */
export class Float {
  constructor(value) {
    this.value = value;
  }
}

const isInteger = (source) => {
  if (!/^-?[0-9]+$/.test(source) || source === '-0') return false;
  const value = BigInt(source);
  return value >= -(2n ** 63n) && value < 2n ** 64n;
};

/** Reads JSON text. Objects have no prototype, so that any key is a key. */
export function read(text) {
  return JSON.parse(text, (key, value, { source }) => {
    if (typeof value === 'number') return isInteger(source) ? BigInt(source) : new Float(value);
    return isObject(value) ? Object.assign(Object.create(null), Object.fromEntries(Object.entries(value))) : value;
  });
}

export function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Float);
}

export function write(value) {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Float) return Number.isInteger(value.value) && Math.abs(value.value) < 1e21 ? value.value.toFixed(1) : String(value.value);
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, member]) => `${JSON.stringify(key)}:${write(member)}`)
    .join(',')}}`;
}

export function equal(one, other) {
  if (one instanceof Float || other instanceof Float) return one instanceof Float && other instanceof Float && one.value === other.value;
  if (Array.isArray(one)) return Array.isArray(other) && one.length === other.length && one.every((item, at) => equal(item, other[at]));
  if (!isObject(one)) return one === other;
  if (!isObject(other) || Object.keys(one).length !== Object.keys(other).length) return false;
  return Object.keys(one).every((key) => Object.hasOwn(other, key) && equal(one[key], other[key]));
}

/** The placeholder that a value is: its name and what it is about. */
export function placeholder(value) {
  if (!isObject(value) || Object.keys(value).length !== 1) return undefined;
  const [[key, about]] = Object.entries(value);
  return key.startsWith('%') ? [key.slice(1), about] : undefined;
}

/** What a case has bound so far, and the suffix of its session ids. */
export class Scope {
  constructor(suffix, bound = new Map()) {
    this.suffix = suffix;
    this.bound = bound;
  }

  copy() {
    return new Scope(this.suffix, new Map(this.bound));
  }

  with(name, value) {
    const scope = this.copy();
    if (name !== undefined) scope.bound.set(name, value);
    return scope;
  }

  /** The text of the arguments of a call. */
  arguments(args) {
    if (!isObject(args)) return this.text(args);
    const members = Object.entries(args).map(([key, value]) => {
      const text = key === 'session_id' ? write(this.sessionId(value)) : this.text(value);
      return `${JSON.stringify(key)}:${text}`;
    });
    return `{${members.join(',')}}`;
  }

  sessionId(id) {
    const [name, about] = placeholder(id) ?? [];
    if (name === 'exact') return this.value(about);
    if (name === 'sized') {
      const [text, bytes] = [about[0], Number(about[1])];
      const room = bytes - byteLength(this.suffix);
      const padded = text.repeat(Math.floor(room / byteLength(text)));
      return padded + 'x'.repeat(room - byteLength(padded)) + this.suffix;
    }
    const value = this.value(id);
    return typeof value === 'string' ? value + this.suffix : value;
  }

  /** A value as JSON text, which can be what no JSON value is. */
  text(value) {
    const [name, about] = placeholder(value) ?? [];
    if (name === 'json') return this.value(about);
    if (name !== undefined) return write(this.value(value));
    if (Array.isArray(value)) return `[${value.map((item) => this.text(item)).join(',')}]`;
    if (!isObject(value)) return write(value);
    return `{${Object.entries(value)
      .map(([key, member]) => `${JSON.stringify(key)}:${this.text(member)}`)
      .join(',')}}`;
  }

  /** The value that a value with placeholders stands for. */
  value(value) {
    const [name, about] = placeholder(value) ?? [];
    switch (name) {
      case undefined:
        if (Array.isArray(value)) return value.map((item) => this.value(item));
        if (!isObject(value)) return value;
        return Object.entries(value).reduce((all, [key, member]) => {
          all[key] = this.value(member);
          return all;
        }, Object.create(null));
      case 'var':
        if (!this.bound.has(about)) throw new Error(`nothing is bound to ${about}`);
        return this.bound.get(about);
      case 'sum':
        return about.map((summand) => this.value(summand)).reduce((sum, summand) => sum + summand);
      case 'text':
        return about.map((part) => this.value(part)).reduce((text, part) => text + (typeof part === 'string' ? part : write(part)), '');
      case 'times':
        return about[0].repeat(Number(about[1]));
      case 'list':
        return Array.from({ length: Number(about.repeat) }, (_, n) => this.with(about.as, BigInt(n)).value(about.item));
      case 'nested':
        return Array.from({ length: Number(about) - 1 }).reduce((inner) => [inner], []);
      default:
        throw new Error(`there is no placeholder %${name} for values`);
    }
  }
}
