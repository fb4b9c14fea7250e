/** JSON as `JSON.parse` reads it. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** A JSON object as `JSON.parse` reads it. */
export type JsonObject = { [key: string]: JsonValue };

/**
 * A JSON object that goes in: JavaScript values, or JSON text.
 *
 * JSON text is stored as it is written. JavaScript values are written by `JSON.stringify`: 1.0 becomes 1, an integer beyond 2^53 has lost
 * digits before this package sees it, members that are undefined are left out. A bigint is written as an integer. `NaN` and infinities are
 * refused.
 */
export type JsonInput = object | string;

/** An integer: a number up to 2^53-1, or a bigint. */
export type Integer = number | bigint;

/** What an error is about. */
export type Entity = 'session' | 'agent' | 'message';

/**
 * Why a call failed.
 *
 * - `not-found`, `already-exists`: `entity` says what. A retry does not help.
 * - `stale`: the session is at revision `current`, and the write expected another one. Read again and decide anew.
 * - `invalid-argument`: the message names the argument and the rule.
 * - `too-large`: `size` and `limit` in bytes. A smaller body or page helps.
 * - `access-denied`, `unsupported`: the storage does not allow this, or does not do it at all.
 * - `quota-exceeded`: a retry after `retryAfterMs` can help.
 * - `timeout`, `unavailable`: a write may or may not have happened. A retry can help.
 * - `corrupt`: a stored value does not fit the schema.
 * - `internal`: a defect of the storage or the component. `cause` has what was thrown. It is for the host: do not show it to callers. A
 *   component that fails ends all calls of its instance so, and the next call gets a new instance.
 */
export type ErrorCode =
  | 'not-found'
  | 'already-exists'
  | 'stale'
  | 'invalid-argument'
  | 'too-large'
  | 'access-denied'
  | 'timeout'
  | 'unavailable'
  | 'corrupt'
  | 'internal'
  | 'quota-exceeded'
  | 'unsupported';

/** Texts and numbers of an error. Each code has the ones that its description names. */
export interface ErrorDetails {
  message?: string;
  cause?: unknown;
  entity?: Entity;
  current?: Integer;
  size?: Integer;
  limit?: Integer;
  retryAfterMs?: Integer;
}

/** The error with which calls are refused. A storage throws it as well: its message reaches the caller, its `cause` does not. */
export class SessionError extends Error {
  /** Throws a `TypeError` for an unknown code, or for details that the code lacks or does not have. */
  constructor(code: ErrorCode, details?: ErrorDetails);
  readonly code: ErrorCode;
  readonly entity?: Entity;
  readonly current?: Integer;
  readonly size?: Integer;
  readonly limit?: Integer;
  readonly retryAfterMs?: Integer;
}

/** A session without its agents, metadata and feedback. */
export interface Session {
  sessionId: string;
  sessionType: string;
  createdAt: Date;
  /** When anything in the session was last written. */
  updatedAt: Date;
  /** How often the session has been written to; a bigint beyond 2^53-1. */
  revision: Integer;
}

/** An agent without its messages. */
export interface Agent {
  agentId: string;
  /** The agent's own fields, parsed from `json`. */
  data: JsonObject;
  /** The agent's own fields as exact JSON text. */
  json: string;
  createdAt: Date;
  updatedAt: Date;
}

/** A message without its metric fields. */
export interface Message {
  /** A bigint beyond 2^53-1. */
  messageId: Integer;
  /** The message's own fields, parsed from `json`. */
  body: JsonObject;
  /** The message's own fields as exact JSON text. */
  json: string;
  createdAt: Date;
  updatedAt: Date;
}

/** All metadata of a session. */
export interface Metadata {
  data: JsonObject;
  /** The same as exact JSON text. */
  json: string;
}

/** One entry of a session's feedback. */
export interface Feedback {
  body: JsonObject;
  /** The same as exact JSON text. */
  json: string;
  createdAt: Date;
}

/** Options of a write. Unknown options are refused. */
export interface WriteOptions {
  /** The revision that the session must be at. Otherwise nothing is written, and the error is `stale`. */
  expectedRevision?: Integer | null;
}

export interface CreateOptions extends WriteOptions {
  /** What kind of session it is, at most 512 bytes. Default: `default`. */
  sessionType?: string | null;
}

export interface AppendOptions extends WriteOptions {
  /**
   * A name for this append, 1 to 256 bytes, for example a random UUID. A retry with the same key and the same content returns the same id
   * and stores nothing. Another content under the same key is `already-exists`.
   */
  key?: string | null;
}

export interface ListOptions {
  /** The most messages to return. Default: all. */
  limit?: Integer | null;
  /** How many messages to skip. Default: 0. */
  offset?: Integer | null;
}

interface Calls {
  sessions: {
    /** Creates an empty session. Errors: `already-exists`, `stale`. */
    create(sessionId: string, options?: CreateOptions): Session;
    /** Reads a session; null if there is none. */
    read(sessionId: string): Session | null;
  };
  agents: {
    /** Creates an agent without messages. Errors: `not-found` (session), `already-exists`, `stale`. */
    create(sessionId: string, agentId: string, agent: JsonInput, options?: WriteOptions): void;
    /** Reads an agent; null if there is none. */
    read(sessionId: string, agentId: string): Agent | null;
    /** Replaces an agent's own fields. `model`, `system_prompt` and `prompt_metadata` stay unless the update brings them; null removes them. */
    update(sessionId: string, agentId: string, agent: JsonInput, options?: WriteOptions): void;
  };
  messages: {
    /** Appends a message under an id of the caller's. The same id with the same content again succeeds and stores nothing. */
    create(sessionId: string, agentId: string, messageId: Integer, message: JsonInput, options?: WriteOptions): void;
    /** Appends a message under the next id, and returns that. With a `key`, a retry is safe. */
    append(sessionId: string, agentId: string, message: JsonInput, options?: AppendOptions): Integer;
    /** Appends 1 to 1,000 messages, all or none, under ids in a row, and returns the first id. */
    appendMany(sessionId: string, agentId: string, messages: readonly JsonInput[], options?: AppendOptions): Integer;
    /** Reads a message; null if there is none. */
    read(sessionId: string, agentId: string, messageId: Integer): Message | null;
    /** Replaces a message's own fields, for example to redact it. */
    update(sessionId: string, agentId: string, messageId: Integer, message: JsonInput, options?: WriteOptions): void;
    /** Lists messages, oldest first. Empty if there is no such session or agent. */
    list(sessionId: string, agentId: string, options?: ListOptions): Message[];
  };
  metadata: {
    /** Sets the named fields and leaves the others. A key with dots is a path: `{ 'a.b': 1 }` sets `b` within `a`. */
    update(sessionId: string, metadata: JsonInput, options?: WriteOptions): void;
    /** Reads all metadata; null if there is no such session. */
    get(sessionId: string): Metadata | null;
    /** Removes the fields at these paths. Absent fields are no error. */
    delete(sessionId: string, keys: readonly string[], options?: WriteOptions): void;
  };
  feedback: {
    /** Adds an entry. */
    add(sessionId: string, feedback: JsonInput, options?: WriteOptions): void;
    /** Lists all entries, oldest first. Empty if there is no such session. */
    list(sessionId: string): Feedback[];
  };
}

type Promising<T> = {
  readonly [I in keyof T]: {
    readonly [F in keyof T[I]]: T[I][F] extends (...args: infer A) => infer R ? (...args: A) => Promise<R> : never;
  };
};

/** A repository whose calls return promises. Errors are `SessionError`. */
export type Repository = Promising<Calls>;

/** A repository whose calls return their results, and throw a `SessionError`. */
export type SyncRepository = { readonly [I in keyof Calls]: Readonly<Calls[I]> };

/**
 * Opens a repository on a storage. Each repository has an instance of the component of its own; make one for each tenant.
 *
 * `flavour: 'sync'` runs the synchronous component behind the same promises. It needs a storage of plain functions and is faster.
 *
 * Rejects with a `TypeError` for a storage that lacks functions, and for the asynchronous flavour where JavaScript Promise Integration is
 * missing.
 */
export function createRepository(options: { storage: Storage; flavour?: 'async' }): Promise<Repository>;
export function createRepository(options: { storage: SyncStorage; flavour: 'sync' }): Promise<Repository>;

/**
 * Opens a repository on a storage of plain functions. It serves one call at a time: a storage that calls it gets `unavailable`.
 *
 * In a browser this throws a `TypeError` as long as the component is not loaded; `createRepository` with `flavour: 'sync'` loads it.
 */
export function createSyncRepository(options: { storage: SyncStorage }): SyncRepository;

/** Milliseconds since 1970-01-01T00:00:00Z. */
export type Timestamp = bigint;

/** Where the integers of `T` may be numbers: what a storage gives back. */
export type Given<T> = { [K in keyof T]: T[K] extends bigint ? Integer : T[K] };

export interface StoredSession {
  sessionId: string;
  sessionType: string;
  createdAt: Timestamp;
  updatedAt: Timestamp;
  revision: bigint;
}

export interface StoredAgent {
  agentId: string;
  /** JSON text of an object. */
  data: string;
  createdAt: Timestamp;
  updatedAt: Timestamp;
}

export interface StoredMessage {
  messageId: bigint;
  /** JSON text of an object. */
  body: string;
  createdAt: Timestamp;
  updatedAt: Timestamp;
}

export interface StoredFeedback {
  /** JSON text of an object. */
  body: string;
  createdAt: Timestamp;
}

export interface MetadataField {
  /** Segments joined by dots. */
  path: string;
  /** JSON text of the value. */
  value: string;
}

export interface AppendKey {
  key: string;
  /** A digest of the messages. Equal contents have equal digests. */
  digest: string;
}

/** What became of an append: `taken` is the message that has the id already. */
export interface AppendOutcome {
  taken?: Given<StoredMessage> | null;
}

/**
 * A storage: one function for each atomic step. The component has checked all values; the storage decides nothing about them.
 *
 * - Integers come as bigints. A storage may give back numbers.
 * - JSON is text. Keep it as text, or numbers change: `JSON.parse` and `JSON.stringify` make 1 of 1.0.
 * - A write happens as a whole or not at all, and is durable when the function returns. It advances the session's `updatedAt` (and the
 *   agent's where one is named) to the given time unless that is later already, and the session's revision by 1.
 * - A write with an `expectedRevision` that is not the session's revision is refused as `stale`. That comes after `not-found`,
 *   `already-exists` and repeats.
 * - Refuse with a `SessionError`. Anything else that is thrown becomes `internal`, without its text.
 */
export interface SyncStorage {
  /** Stores an empty session at revision 0. Errors: `already-exists` (session). */
  insertSession(session: StoredSession): void;
  findSession(sessionId: string): Given<StoredSession> | null | undefined;
  /** Stores an agent without messages. Errors: `not-found` (session), `already-exists` (agent). */
  insertAgent(sessionId: string, agent: StoredAgent, expectedRevision: bigint | undefined): void;
  findAgent(sessionId: string, agentId: string): Given<StoredAgent> | null | undefined;
  /** Replaces the fields of an agent, all but `createdAt` and the stored fields that `keep` names. Errors: `not-found`. */
  replaceAgent(
    sessionId: string,
    agentId: string,
    data: string,
    updatedAt: Timestamp,
    keep: string[],
    expectedRevision: bigint | undefined,
  ): void;
  /** Appends a message unless its id is taken. The message that took it comes back without the fields in `omit`. Errors: `not-found`. */
  appendMessage(
    sessionId: string,
    agentId: string,
    message: StoredMessage,
    omit: string[],
    expectedRevision: bigint | undefined,
  ): AppendOutcome | void;
  /**
   * Appends messages and returns the id of the first. Ids count up from the highest that there is, from 0 if there is none. All get one
   * `createdAt`: the given time, or that of the agent's newest message if that is later.
   *
   * A known key with the same digest stores nothing and answers the id of the append that had it. With another digest the error is
   * `already-exists` (message). The keys of the agent's last 256 keyed appends are kept.
   *
   * Errors: `not-found`, `already-exists`, `invalid-argument` when ids run out.
   */
  appendMessages(
    sessionId: string,
    agentId: string,
    bodies: string[],
    createdAt: Timestamp,
    key: AppendKey | undefined,
    expectedRevision: bigint | undefined,
  ): Integer;
  findMessage(sessionId: string, agentId: string, messageId: bigint, omit: string[]): Given<StoredMessage> | null | undefined;
  /** Replaces the fields of a message, all but `createdAt` and the stored fields that `keep` names. Errors: `not-found`. */
  replaceMessage(
    sessionId: string,
    agentId: string,
    messageId: bigint,
    body: string,
    updatedAt: Timestamp,
    keep: string[],
    expectedRevision: bigint | undefined,
  ): void;
  /** Lists messages by `createdAt`, equal times as appended, without the fields in `omit`. Empty if there is no such agent. */
  listMessages(sessionId: string, agentId: string, offset: bigint, limit: bigint | undefined, omit: string[]): Given<StoredMessage>[];
  /**
   * Sets metadata fields by the rules of MongoDB's `$set`: missing objects are made, a number is a position in an array, places before it
   * are filled with null. Without fields nothing changes. Errors: `not-found`, `invalid-argument` for a path through a value that cannot
   * hold it.
   */
  setMetadata(sessionId: string, fields: MetadataField[], updatedAt: Timestamp, expectedRevision: bigint | undefined): void;
  /** All metadata as JSON text, `{}` where there is none. */
  getMetadata(sessionId: string): string | null | undefined;
  /** Removes metadata fields; an item of an array becomes null. Without paths nothing changes. Errors: `not-found`. */
  unsetMetadata(sessionId: string, paths: string[], updatedAt: Timestamp, expectedRevision: bigint | undefined): void;
  appendFeedback(sessionId: string, feedback: StoredFeedback, expectedRevision: bigint | undefined): void;
  /** All feedback, oldest first. Empty if there is no such session. */
  listFeedback(sessionId: string): Given<StoredFeedback>[];
}

/** A storage whose functions may return promises. */
export type Storage = {
  [F in keyof SyncStorage]: (...args: Parameters<SyncStorage[F]>) => ReturnType<SyncStorage[F]> | Promise<ReturnType<SyncStorage[F]>>;
};
