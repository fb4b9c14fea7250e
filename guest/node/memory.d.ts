import type { SyncStorage } from './index.js';

/** A storage in memory, for tests and as a model. It works with both flavours, keeps JSON as text, and ends with the process. */
export function memoryStorage(): SyncStorage;
