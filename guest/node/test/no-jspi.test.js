// Where WebAssembly cannot wait for promises (JSPI), the synchronous flavour runs and the asynchronous one is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';

for (const name of ['Suspending', 'promising', 'SuspendError']) delete WebAssembly[name];

test('the synchronous flavour needs no promise integration', async () => {
  const { createRepository } = await import('../index.js');
  const { memoryStorage } = await import('../memory.js');
  const { sessions } = await createRepository({ storage: memoryStorage(), flavour: 'sync' });
  assert.equal((await sessions.create('s')).revision, 0);
  await assert.rejects(createRepository({ storage: memoryStorage() }), { name: 'TypeError', message: /JavaScript Promise Integration/ });
});
