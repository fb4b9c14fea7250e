// Compiles if the types are right. Each `@ts-expect-error` is an error that they must find.

import { SessionError, createRepository, createSyncRepository } from 'session-repository';
import type { Integer, Message, Storage, SyncStorage } from 'session-repository';
import { items, members, object } from 'session-repository/json';
import { memoryStorage } from 'session-repository/memory';

const repository = await createRepository({ storage: memoryStorage() });
const session = await repository.sessions.create('s', { sessionType: 'chat', expectedRevision: 0n });
const revision: Integer = session.revision;
await repository.agents.create('s', 'a', { model: 'm' }, { expectedRevision: revision });
const first: Integer = await repository.messages.appendMany('s', 'a', [{ role: 'user' }, '{"n": 1.0}'], { key: 'k' });
const found: Message | null = await repository.messages.read('s', 'a', first);
const json: string | undefined = found?.json;
for (const { body, createdAt } of await repository.messages.list('s', 'a', { limit: 10 })) void [body['role'], createdAt.getTime(), json];

const direct = createSyncRepository({ storage: memoryStorage() });
const created: Date = direct.sessions.create('s').createdAt;
await createRepository({ storage: memoryStorage(), flavour: 'sync' });

const remote: Storage = { ...memoryStorage(), findSession: async () => null };
await createRepository({ storage: remote });

try {
  direct.sessions.create('s');
} catch (error) {
  if (error instanceof SessionError && error.code === 'already-exists') void [error.entity, created];
}

const [[key, value] = ['', '']] = members('{"a": 1.0}');
const text: string = object([[key, value]]) + items('[]').join();
void text;

// @ts-expect-error: the synchronous flavour takes plain functions
createSyncRepository({ storage: remote });
// @ts-expect-error: an option that does not exist
await repository.sessions.create('s', { sessionTyp: 'chat' });
// @ts-expect-error: a code that does not exist
new SessionError('no-such-code');
// @ts-expect-error: a storage has all functions
const lacking: SyncStorage = { findSession: () => null };
