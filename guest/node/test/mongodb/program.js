// A program that speaks the `exec` protocol, as a child.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export class Program {
  #child;
  #waiting = new Map();
  #count = 0;
  #ended;

  constructor(command, args) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#ended = once(this.#child, 'close').then(([status]) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${command} ended with status ${status}`));
      return status;
    });
    createInterface({ input: this.#child.stdout, crlfDelay: Infinity }).on('line', (line) => {
      const id = Number(/^\{"id":(\d+),/.exec(line)?.[1]);
      this.#waiting.get(id)?.resolve(line.replace(/^\{"id":\d+/, '{"id":null'));
      this.#waiting.delete(id);
    });
  }

  /** Makes a call with arguments as JSON text; resolves to the text of the response, with a null id. */
  call(name, args) {
    const id = (this.#count += 1);
    const { promise, resolve, reject } = Promise.withResolvers();
    this.#waiting.set(id, { resolve, reject });
    this.#child.stdin.write(`{"id":${id},"call":${JSON.stringify(name)},"args":${args}}\n`);
    return promise;
  }

  /** Ends the program's input and waits for its end; resolves to its exit status. */
  async end() {
    this.#child.stdin.end();
    return this.#ended;
  }
}
