// Instances of the transpiled component. One that fails is replaced.

import { load, modulesOf, nextTask } from '#platform';
import { instantiate as instantiateAsync } from '../dist/async/component.js';
import { instantiate as instantiateSync } from '../dist/sync/component.js';

let latest = 0;

/** The clock. It never goes back, so that the order of stamps is the order of calls. */
const clock = {
  now() {
    latest = Math.max(latest, Date.now());
    return { seconds: BigInt(Math.floor(latest / 1000)), nanoseconds: (latest % 1000) * 1_000_000 };
  },
};

/** Whether the component refused a call. It throws anything else when it has trapped, and an instance that has trapped is of no more use. */
export const isRefusal = (error) => error !== null && typeof error === 'object' && Object.hasOwn(error, 'payload');

/** An instance that serves any number of calls at once. */
class Instance {
  #exports;
  /** What refuses each call in flight. */
  #inFlight = new Set();

  constructor(exports) {
    this.#exports = exports;
  }

  /** Makes a call. If the instance fails, all its calls fail, because it answers none of them any more. */
  call(name, call, args) {
    return new Promise((resolve, reject) => {
      this.#inFlight.add(reject);
      const end = (settle) => (value) => {
        this.#inFlight.delete(reject);
        settle(value);
      };
      const fail = (error) => {
        if (!isRefusal(error)) for (const refuse of this.#inFlight) refuse(error);
        reject(error);
      };
      Promise.try(() => this.#exports[name][call](...args)).then(end(resolve), end(fail));
    });
  }
}

export class AsyncComponent {
  #imports;
  #modules;
  /** A promise of the instance that takes calls. */
  #current;

  static async open(storage) {
    if (!WebAssembly.Suspending) throw new TypeError("JavaScript Promise Integration is missing here: use flavour 'sync', or a newer version");
    const component = new AsyncComponent(storage, await load('async'));
    await component.#instance();
    return component;
  }

  constructor(storage, modules) {
    this.#imports = { 'session:repository/storage': storage, 'wasi:clocks/wall-clock': clock };
    this.#modules = modules;
  }

  /** The instance that takes calls. If it cannot be made, the next call tries again. */
  #instance() {
    this.#current ??= this.#make();
    return this.#current;
  }

  #make() {
    const made = instantiateAsync(this.#modules, this.#imports).then((exports) => new Instance(exports));
    made.catch(() => this.#drop(made));
    return made;
  }

  #drop(instance) {
    if (this.#current === instance) this.#current = undefined;
  }

  async call(name, call, args) {
    let current;
    let instance;
    do {
      current = this.#instance();
      instance = await current;
      // A call that begins within a microtask can take the instance's lock while jco hands it to another call. Then jco 1.35 spins in
      // microtasks for ever. Between two tasks of the event loop no hand-over is under way.
      await nextTask();
    } while (current !== this.#current);
    try {
      return await instance.call(name, call, args);
    } catch (error) {
      if (!isRefusal(error)) this.#drop(current);
      throw error;
    }
  }
}

export class SyncComponent {
  #make;
  #exports;

  constructor(storage) {
    const modules = modulesOf('sync');
    this.#make = () => instantiateSync(modules, { 'session:repository-sync/storage': storage, 'wasi:clocks/wall-clock': clock });
    this.#exports = this.#make();
  }

  call(name, call, args) {
    this.#exports ??= this.#make();
    try {
      return this.#exports[name][call](...args);
    } catch (error) {
      if (!isRefusal(error)) this.#exports = undefined;
      throw error;
    }
  }
}
