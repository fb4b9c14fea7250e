// Instances of the transpiled component.

import { readFileSync } from 'node:fs';
import { instantiate as instantiateAsync } from '../dist/async/component.js';
import { instantiate as instantiateSync } from '../dist/sync/component.js';

const modules = new Map();

/** The compiled core module of a flavour, compiled once in a process. */
function core(flavour) {
  return (path) => {
    const file = new URL(`../dist/${flavour}/${path}`, import.meta.url);
    if (!modules.has(file.href)) modules.set(file.href, new WebAssembly.Module(readFileSync(file)));
    return modules.get(file.href);
  };
}

let latest = 0;

/** The clock. It never goes back, so that the order of stamps is the order of calls. */
const clock = {
  now() {
    latest = Math.max(latest, Date.now());
    return { seconds: BigInt(Math.floor(latest / 1000)), nanoseconds: (latest % 1000) * 1_000_000 };
  },
};

export const asyncInstance = (storage) =>
  instantiateAsync(core('async'), { 'session:repository/storage': storage, 'wasi:clocks/wall-clock': clock });

export const syncInstance = (storage) =>
  instantiateSync(core('sync'), { 'session:repository-sync/storage': storage, 'wasi:clocks/wall-clock': clock });
