// What the package needs of Node. The same for browsers: browser.js.

import { readFileSync } from 'node:fs';

/** Waits for the next task of the event loop. */
export { setImmediate as nextTask } from 'node:timers/promises';

/** How many bytes a text has in UTF-8. */
export const byteLength = (text) => Buffer.byteLength(text);

const modules = new Map();

/** Looks up the core modules of a flavour by their names. Each is compiled once in a process. */
export function modulesOf(flavour) {
  return (name) => {
    const file = new URL(`../../dist/${flavour}/${name}`, import.meta.url);
    if (!modules.has(file.href)) modules.set(file.href, new WebAssembly.Module(readFileSync(file)));
    return modules.get(file.href);
  };
}

/** The same, once the modules are there. */
export const load = async (flavour) => modulesOf(flavour);
