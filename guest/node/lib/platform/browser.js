// What the package needs of a browser. The same for Node: node.js.

const channel = new MessageChannel();
const waiting = [];
channel.port1.onmessage = () => waiting.shift()();

/** Waits for the next task of the event loop. A timer would wait for 4 ms. */
export function nextTask() {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
}

const encoder = new TextEncoder();

/** How many bytes a text has in UTF-8. */
export const byteLength = (text) => encoder.encode(text).length;

const loading = new Map();
const loaded = new Map();

async function fetchModules(flavour) {
  const folder = new URL(`../../dist/${flavour}/`, import.meta.url);
  const { MODULES } = await import(new URL('modules.js', folder));
  const compiled = MODULES.map(async (name) => [name, await WebAssembly.compileStreaming(fetch(new URL(name, folder)))]);
  loaded.set(flavour, new Map(await Promise.all(compiled)));
}

/** Looks up the core modules of a flavour by their names, once they are loaded. */
export function modulesOf(flavour) {
  const modules = loaded.get(flavour);
  if (!modules) throw new TypeError(`in a browser use createRepository({ flavour: '${flavour}' }), which loads the component`);
  return (name) => modules.get(name);
}

/** Loads the core modules of a flavour, once in a page unless that fails. */
export async function load(flavour) {
  if (!loading.has(flavour)) loading.set(flavour, fetchModules(flavour));
  try {
    await loading.get(flavour);
  } catch (error) {
    loading.delete(flavour);
    throw error;
  }
  return modulesOf(flavour);
}
