// Prints what calls cost on the storage in memory, in microseconds.

import { createRepository } from './index.js';
import { memoryStorage } from './memory.js';

const body = { role: 'user', content: [{ text: 'x'.repeat(500) }] };

async function cost(times, call) {
  for (let n = 0; n < times / 10; n += 1) await call();
  const begun = performance.now();
  for (let n = 0; n < times; n += 1) await call();
  return Math.round(((performance.now() - begun) * 1000) / times);
}

for (const [flavour, times] of [['async', 500], ['sync', 5000]]) {
  const begun = performance.now();
  const { sessions, agents, messages } = await createRepository({ storage: memoryStorage(), flavour });
  const first = performance.now() - begun;
  await createRepository({ storage: memoryStorage(), flavour });
  const second = performance.now() - begun - first;
  await sessions.create('s');
  await agents.create('s', 'a', {});
  const costs = {
    'create repository, first (ms)': Math.round(first),
    'create repository, next (ms)': Math.round(second),
    'messages.append': await cost(times, () => messages.append('s', 'a', body)),
    'messages.append, 100 at once': Math.round(
      (await cost(10, () => Promise.all(Array.from({ length: 100 }, () => messages.append('s', 'a', body))))) / 100,
    ),
    'messages.read': await cost(times, () => messages.read('s', 'a', 0)),
    'messages.list, limit 10': await cost(times, () => messages.list('s', 'a', { limit: 10 })),
    'sessions.read': await cost(times, () => sessions.read('s')),
  };
  console.log(flavour);
  console.table(costs);
}
