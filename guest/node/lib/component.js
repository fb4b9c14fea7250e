// Instances of the transpiled component. One that fails is replaced.

import { load, modulesOf, nextTask } from '#platform';
import { instantiate as instantiateAsync } from '../dist/async/component.js';
import { instantiate as instantiateSync } from '../dist/sync/component.js';
import { SessionError, fromVariant } from './errors.js';
import { Causes, asyncImport, syncImport } from './storage.js';

let latest = 0;

/** The clock. It never goes back, so that the order of stamps is the order of calls. */
const clock = {
  now() {
    latest = Math.max(latest, Date.now());
    return { seconds: BigInt(Math.floor(latest / 1000)), nanoseconds: (latest % 1000) * 1_000_000 };
  },
};

/** What a caller gets if the component refuses a call. If it throws anything else, it has trapped, and its instance is of no more use. */
function refusal(error, causes) {
  const isRefusal = error !== null && typeof error === 'object' && Object.hasOwn(error, 'payload');
  return isRefusal ? causes.attach(fromVariant(error.payload)) : undefined;
}

/** An instance that serves any number of calls at once. */
class Instance {
  #exports;
  #causes;
  /** What refuses each call in flight. */
  #inFlight = new Set();

  constructor(exports, causes) {
    this.#exports = exports;
    this.#causes = causes;
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
        const refused = refusal(error, this.#causes);
        if (!refused) for (const refuse of this.#inFlight) refuse(error);
        reject(refused ?? error);
      };
      Promise.try(() => this.#exports[name][call](...args)).then(end(resolve), end(fail));
    });
  }
}

export class AsyncComponent {
  #storage;
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
    this.#storage = storage;
    this.#modules = modules;
  }

  /** The instance that takes calls. If it cannot be made, the next call tries again. */
  #instance() {
    this.#current ??= this.#make();
    return this.#current;
  }

  #make() {
    const causes = new Causes();
    const imports = { 'session:repository/storage': asyncImport(this.#storage, causes), 'wasi:clocks/wall-clock': clock };
    const made = instantiateAsync(this.#modules, imports).then((exports) => new Instance(exports, causes));
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
      if (!(error instanceof SessionError)) this.#drop(current);
      throw error;
    }
  }
}

export class SyncComponent {
  #make;
  #current;

  constructor(storage) {
    const modules = modulesOf('sync');
    this.#make = () => {
      const causes = new Causes();
      const imports = { 'session:repository-sync/storage': syncImport(storage, causes), 'wasi:clocks/wall-clock': clock };
      return { exports: instantiateSync(modules, imports), causes };
    };
    this.#current = this.#make();
  }

  call(name, call, args) {
    this.#current ??= this.#make();
    const { exports, causes } = this.#current;
    try {
      return exports[name][call](...args);
    } catch (error) {
      const refused = refusal(error, causes);
      if (!refused) this.#current = undefined;
      throw refused ?? error;
    }
  }
}
