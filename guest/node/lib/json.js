// JSON as text: cuts valid JSON into its parts and leaves the text of each value as it is, so that numbers stay exact.

const SPACE = new Set([' ', '\t', '\n', '\r']);

class Scanner {
  #text;
  #at = 0;

  constructor(text) {
    this.#text = text;
  }

  /** The next character that is no white space. */
  next() {
    while (SPACE.has(this.#text[this.#at])) this.#at += 1;
    return this.#text[this.#at];
  }

  step() {
    this.#at += 1;
  }

  #skipString() {
    for (let from = this.#at + 1; ; from = this.#at) {
      const quote = this.#text.indexOf('"', from);
      if (quote < 0) throw new SyntaxError('a text has no end');
      let backslashes = 0;
      while (this.#text[quote - 1 - backslashes] === '\\') backslashes += 1;
      this.#at = quote + 1;
      if (backslashes % 2 === 0) return;
    }
  }

  /** The text of a string, with its quotes. */
  string() {
    this.next();
    const begin = this.#at;
    this.#skipString();
    return this.#text.slice(begin, this.#at);
  }

  /** The text of a value. */
  value() {
    const first = this.next();
    const begin = this.#at;
    if (first === '"') {
      this.#skipString();
    } else if (first === '{' || first === '[') {
      let depth = 0;
      do {
        const char = this.#text[this.#at];
        if (char === undefined) throw new SyntaxError('a value has no end');
        if (char === '"') {
          this.#skipString();
          continue;
        }
        if (char === '{' || char === '[') depth += 1;
        else if (char === '}' || char === ']') depth -= 1;
        this.#at += 1;
      } while (depth > 0);
    } else {
      while (this.#at < this.#text.length && !' \t\n\r,]}'.includes(this.#text[this.#at])) this.#at += 1;
    }
    return this.#text.slice(begin, this.#at);
  }
}

/** The members of an object, in order: pairs of a key and the text of its value. */
export function members(text) {
  const scanner = new Scanner(text);
  const found = [];
  if (scanner.next() !== '{') throw new SyntaxError('not an object');
  scanner.step();
  while (scanner.next() !== '}') {
    const key = JSON.parse(scanner.string());
    scanner.next();
    scanner.step();
    found.push([key, scanner.value()]);
    if (scanner.next() === ',') scanner.step();
  }
  return found;
}

/** The texts of the items of an array. */
export function items(text) {
  const scanner = new Scanner(text);
  const found = [];
  if (scanner.next() !== '[') throw new SyntaxError('not an array');
  scanner.step();
  while (scanner.next() !== ']') {
    found.push(scanner.value());
    if (scanner.next() === ',') scanner.step();
  }
  return found;
}

/** The text of an object of such members. */
export function object(entries) {
  const parts = [];
  for (const [key, value] of entries) parts.push(`${JSON.stringify(key)}:${value}`);
  return `{${parts.join(',')}}`;
}
