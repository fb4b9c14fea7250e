// An instance of the component that traps costs its own calls an error; then a new one serves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createRepository } from '../index.js';
import { memoryStorage } from '../memory.js';

const PAGE = 64 * 1024;

/** The memories of all instances that are made from here on. */
function memories() {
  const made = [];
  const watch = (instance) => {
    if (instance.exports.memory) made.push(instance.exports.memory);
    return instance;
  };
  const { Instance, instantiate } = WebAssembly;
  WebAssembly.Instance = new Proxy(Instance, { construct: (target, args) => watch(Reflect.construct(target, args)) });
  WebAssembly.instantiate = async (...args) => watch(await instantiate(...args));
  return made;
}

/** Takes all memory that an instance could still get: the next large call traps. */
function exhaust(memory) {
  memory.grow(2 ** 16 - memory.buffer.byteLength / PAGE);
}

const made = memories();
const large = { text: 'x'.repeat(4 * 1024 * 1024) };

for (const flavour of ['async', 'sync']) {
  test(`an instance of the ${flavour} flavour that traps is replaced`, async () => {
    made.length = 0;
    const { sessions, agents, messages } = await createRepository({ storage: memoryStorage(), flavour });
    await sessions.create('s');
    await agents.create('s', 'a', {});
    assert.equal(made.length, 1);
    for (let turn = 0; turn < 2; turn += 1) {
      exhaust(made.at(-1));
      await assert.rejects(messages.append('s', 'a', large), (error) => {
        assert.deepEqual([error.name, error.code, error.message], ['SessionError', 'internal', 'the component failed']);
        assert.ok(error.cause instanceof WebAssembly.RuntimeError, String(error.cause));
        return true;
      });
      assert.equal((await sessions.read('s')).revision, 1);
      assert.equal(made.length, turn + 2);
    }
    assert.equal(await messages.append('s', 'a', large), 0);
    assert.equal(made.length, 3);
  });
}

test('an instance that cannot be made costs one call', async () => {
  const { sessions, agents, messages } = await createRepository({ storage: memoryStorage() });
  await sessions.create('s');
  await agents.create('s', 'a', {});
  exhaust(made.at(-1));
  await assert.rejects(messages.append('s', 'a', large), { code: 'internal' });
  const { instantiate } = WebAssembly;
  const cause = new RangeError('out of memory');
  WebAssembly.instantiate = async () => {
    WebAssembly.instantiate = instantiate;
    throw cause;
  };
  await assert.rejects(sessions.read('s'), { code: 'internal', message: 'the component failed', cause });
  assert.equal((await sessions.read('s')).revision, 1);
});

test('an instance that has trapped keeps no error of the storage', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const { promise: released, resolve: release } = Promise.withResolvers();
  let reads = 0;
  let thrown;
  const storage = {
    ...memoryStorage(),
    async findSession() {
      reads += 1;
      await released;
      const error = new Error('of the storage');
      thrown = new WeakRef(error);
      throw error;
    },
  };
  const { sessions, agents, messages } = await createRepository({ storage });
  await sessions.create('s');
  await agents.create('s', 'a', {});
  const waiting = assert.rejects(sessions.read('s'), { code: 'internal', message: 'the component failed' });
  while (reads < 1) await new Promise(setImmediate);
  exhaust(made.at(-1));
  await assert.rejects(messages.append('s', 'a', large), { code: 'internal', message: 'the component failed' });
  await waiting;
  release();
  // The error goes to the component within microtasks, and a reference to it lasts until the end of its task.
  while (!thrown) await new Promise(setImmediate);
  await new Promise(setImmediate);
  collect();
  assert.equal(thrown.deref(), undefined);
  assert.equal(await messages.append('s', 'a', large), 0);
});

test('a trap ends all calls of its instance and no others', async () => {
  let release;
  const released = new Promise((resolve) => {
    release = resolve;
  });
  const memory = memoryStorage();
  let reads = 0;
  const storage = {
    ...memory,
    async findSession(sessionId) {
      reads += 1;
      await released;
      return memory.findSession(sessionId);
    },
  };
  const other = await createRepository({ storage: memoryStorage() });
  const { sessions, agents, messages } = await createRepository({ storage });
  await sessions.create('s');
  await agents.create('s', 'a', {});
  const waiting = Promise.allSettled([sessions.read('s'), sessions.read('s')]);
  while (reads < 2) await new Promise(setImmediate);
  exhaust(made.at(-1));
  await assert.rejects(messages.append('s', 'a', large), { code: 'internal' });
  for (const { reason } of await waiting) assert.deepEqual([reason?.code, reason?.message], ['internal', 'the component failed']);
  const again = sessions.read('s');
  release();
  assert.equal((await again).sessionId, 's');
  assert.equal(await messages.append('s', 'a', large), 0);
  assert.equal((await other.sessions.create('s')).revision, 0);
});
