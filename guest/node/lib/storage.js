// The storage as the component imports it: checks what a storage answers, and keeps the texts of its own errors from callers.

import { byteLength } from '#platform';
import { SessionError, toVariant } from './errors.js';
import { bring } from './values.js';

/** The largest answer of one call, in bytes of JSON. */
const PAGE_BYTES = 64 * 1024 * 1024;

const nothing = () => undefined;

function string(value, name) {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a text`);
  return value;
}

function integer(value, name) {
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) throw new TypeError(`${name} must be an integer`);
  return BigInt(value);
}

const option = (shape) => (value) => (value === undefined || value === null ? undefined : shape(value));

function list(shape) {
  return (value) => {
    if (!Array.isArray(value)) throw new TypeError('the answer must be an array');
    return bounded(value.map(shape), ({ body }) => body);
  };
}

function bounded(values, textOf) {
  const size = values.reduce((size, value) => size + byteLength(textOf(value)), 0);
  if (size > PAGE_BYTES) throw new SessionError('too-large', { size, limit: PAGE_BYTES });
  return values;
}

const session = (value) => ({
  sessionId: string(value.sessionId, 'sessionId'),
  sessionType: string(value.sessionType, 'sessionType'),
  createdAt: integer(value.createdAt, 'createdAt'),
  updatedAt: integer(value.updatedAt, 'updatedAt'),
  revision: integer(value.revision, 'revision'),
});

const agent = (value) => ({
  agentId: string(value.agentId, 'agentId'),
  data: string(value.data, 'data'),
  createdAt: integer(value.createdAt, 'createdAt'),
  updatedAt: integer(value.updatedAt, 'updatedAt'),
});

const message = (value) => ({
  messageId: integer(value.messageId, 'messageId'),
  body: string(value.body, 'body'),
  createdAt: integer(value.createdAt, 'createdAt'),
  updatedAt: integer(value.updatedAt, 'updatedAt'),
});

const entry = (value) => ({ body: string(value.body, 'body'), createdAt: integer(value.createdAt, 'createdAt') });

function outcome({ taken }) {
  return taken === undefined || taken === null ? { tag: 'appended' } : { tag: 'taken', val: message(taken) };
}

const metadata = (value) => bounded([string(value, 'the answer')], (text) => text)[0];

/** The functions of a storage, with the shapes of their answers. */
const FUNCTIONS = {
  insertSession: nothing,
  findSession: option(session),
  insertAgent: nothing,
  findAgent: option(agent),
  replaceAgent: nothing,
  appendMessage: (value) => outcome(value ?? {}),
  appendMessages: (value) => integer(value, 'the answer'),
  findMessage: option(message),
  replaceMessage: nothing,
  listMessages: list(message),
  setMetadata: nothing,
  getMetadata: option(metadata),
  unsetMetadata: nothing,
  appendFeedback: nothing,
  listFeedback: list(entry),
};

function checked(storage) {
  const missing = Object.keys(FUNCTIONS).filter((name) => typeof storage?.[name] !== 'function');
  if (missing.length > 0) throw new TypeError(`the storage lacks ${missing.join(', ')}`);
}

/** What a thrown value says to the component. Only the text of a `SessionError` is meant for callers; the rest is kept as a cause. */
function refusal(thrown, causes) {
  const error = thrown instanceof SessionError ? thrown : new SessionError('internal', { message: causes.keep(thrown) });
  return Object.assign(new Error(error.code), { payload: toVariant(error) });
}

/** Errors of a storage on their way through an instance of the component, which passes on texts only. They go with the instance. */
export class Causes {
  #kept = new Map();
  #count = 0;

  keep(cause) {
    const text = `the storage failed (${(this.#count += 1)})`;
    this.#kept.set(text, cause);
    return text;
  }

  /** The error with the cause that its text stands for. */
  attach(error) {
    if (error.code !== 'internal' || !this.#kept.has(error.message)) return error;
    const cause = this.#kept.get(error.message);
    this.#kept.delete(error.message);
    return new SessionError('internal', { message: 'the storage failed', cause });
  }
}

export function asyncImport(storage, causes) {
  checked(storage);
  const wrap = ([name, shape]) => [
    name,
    async (...args) => {
      try {
        bring(args);
        return shape(await storage[name](...args));
      } catch (thrown) {
        throw refusal(thrown, causes);
      }
    },
  ];
  return Object.fromEntries(Object.entries(FUNCTIONS).map(wrap));
}

export function syncImport(storage, causes) {
  checked(storage);
  const wrap = ([name, shape]) => [
    name,
    (...args) => {
      try {
        bring(args);
        const answer = storage[name](...args);
        if (typeof answer?.then === 'function') {
          Promise.resolve(answer).catch(nothing);
          throw new TypeError(`${name} returned a promise, and the synchronous flavour takes plain functions`);
        }
        return shape(answer);
      } catch (thrown) {
        throw refusal(thrown, causes);
      }
    },
  ];
  return Object.fromEntries(Object.entries(FUNCTIONS).map(wrap));
}
