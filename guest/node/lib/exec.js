// The `exec` protocol without its streams: a request's text in, a response's text out. Bodies stay text all the way.

import { SessionError, invalid } from './errors.js';
import { items, members, object } from './json.js';

function string(name, value) {
  const text = value.startsWith('"') ? JSON.parse(value) : undefined;
  if (text === undefined) throw invalid(`args: \`${name}\` must be a text`);
  return text;
}

function integer(name, value) {
  if (!/^(0|-?[1-9][0-9]*)$/.test(value)) throw invalid(`args: \`${name}\` must be an integer`);
  return BigInt(value);
}

function list(name, value) {
  if (!value.startsWith('[')) throw invalid(`args: \`${name}\` must be an array`);
  return items(value);
}

const TEXT = { read: string };
const OPTIONAL_TEXT = { read: string, isOptional: true };
const OPTIONAL_INTEGER = { read: integer, isOptional: true };
const INTEGER = { read: integer };
// An integer that is absent has a default, and null is no integer.
const OFFSET = { read: integer, isOptional: true, takesNull: false };
const JSON_TEXT = { read: (name, value) => value };
const LIST = { read: list };

const AGENT = { session_id: TEXT, agent_id: TEXT };
const WRITE = { expected_revision: OPTIONAL_INTEGER };

/** An id that stands within a JSON argument. */
function idWithin(argument, body, name, read) {
  if (!body.startsWith('{')) throw invalid(`${argument}: must be a JSON object`);
  const found = members(body).filter(([key]) => key === name);
  if (found.length !== 1) throw invalid(`${argument}: the field \`${name}\` must be there once`);
  return read(name, found[0][1]);
}

const time = (date) => JSON.stringify(date.toISOString());

/** The text of an object with members before and after those of a body. */
function flat(before, body, after) {
  const inner = body.trim().slice(1, -1).trim();
  const outer = (entries) => entries.map(([key, value]) => `${JSON.stringify(key)}:${value}`);
  return `{${[...outer(before), ...(inner ? [inner] : []), ...outer(after)].join(',')}}`;
}

const stamps = ({ createdAt, updatedAt }) => [
  ['created_at', time(createdAt)],
  ['updated_at', time(updatedAt)],
];

const found = (shape) => (value) => (value === null ? 'null' : shape(value));
const nothing = () => 'null';

const session = (value) =>
  object([
    ['session_id', JSON.stringify(value.sessionId)],
    ['session_type', JSON.stringify(value.sessionType)],
    ...stamps(value),
    ['revision', String(value.revision)],
  ]);
const agent = (value) => flat([['agent_id', JSON.stringify(value.agentId)]], value.json, stamps(value));
const message = (value) => flat([['message_id', String(value.messageId)]], value.json, stamps(value));
const entry = (value) => flat([], value.json, [['created_at', time(value.createdAt)]]);
const array = (shape) => (values) => `[${values.map(shape).join(',')}]`;

const expected = ({ expected_revision: expectedRevision }) => ({ expectedRevision });
const keyed = ({ idempotency_key: key, expected_revision: expectedRevision }) => ({ key, expectedRevision });

const CALLS = {
  'sessions.create': {
    takes: { session_id: TEXT, session_type: OPTIONAL_TEXT, ...WRITE },
    call: ({ sessions }, args) => sessions.create(args.session_id, { sessionType: args.session_type, ...expected(args) }),
    shape: session,
  },
  'sessions.read': {
    takes: { session_id: TEXT },
    call: ({ sessions }, args) => sessions.read(args.session_id),
    shape: found(session),
  },
  'agents.create': {
    takes: { session_id: TEXT, agent: JSON_TEXT, ...WRITE },
    call: ({ agents }, args) =>
      agents.create(args.session_id, idWithin('agent', args.agent, 'agent_id', string), args.agent, expected(args)),
    shape: nothing,
  },
  'agents.read': {
    takes: AGENT,
    call: ({ agents }, args) => agents.read(args.session_id, args.agent_id),
    shape: found(agent),
  },
  'agents.update': {
    takes: { session_id: TEXT, agent: JSON_TEXT, ...WRITE },
    call: ({ agents }, args) =>
      agents.update(args.session_id, idWithin('agent', args.agent, 'agent_id', string), args.agent, expected(args)),
    shape: nothing,
  },
  'messages.create': {
    takes: { ...AGENT, message: JSON_TEXT, ...WRITE },
    call: ({ messages }, args) => {
      const id = idWithin('message', args.message, 'message_id', integer);
      return messages.create(args.session_id, args.agent_id, id, args.message, expected(args));
    },
    shape: nothing,
  },
  'messages.append': {
    takes: { ...AGENT, message: JSON_TEXT, idempotency_key: OPTIONAL_TEXT, ...WRITE },
    call: ({ messages }, args) => messages.append(args.session_id, args.agent_id, args.message, keyed(args)),
    shape: (id) => `{"message_id":${id}}`,
  },
  'messages.append-many': {
    takes: { ...AGENT, messages: LIST, idempotency_key: OPTIONAL_TEXT, ...WRITE },
    call: ({ messages }, args) => messages.appendMany(args.session_id, args.agent_id, args.messages, keyed(args)),
    shape: (id) => `{"first_message_id":${id}}`,
  },
  'messages.read': {
    takes: { ...AGENT, message_id: INTEGER },
    call: ({ messages }, args) => messages.read(args.session_id, args.agent_id, args.message_id),
    shape: found(message),
  },
  'messages.update': {
    takes: { ...AGENT, message: JSON_TEXT, ...WRITE },
    call: ({ messages }, args) => {
      const id = idWithin('message', args.message, 'message_id', integer);
      return messages.update(args.session_id, args.agent_id, id, args.message, expected(args));
    },
    shape: nothing,
  },
  'messages.list': {
    takes: { ...AGENT, limit: OPTIONAL_INTEGER, offset: OFFSET },
    call: ({ messages }, args) => messages.list(args.session_id, args.agent_id, { limit: args.limit, offset: args.offset }),
    shape: array(message),
  },
  'metadata.update': {
    takes: { session_id: TEXT, metadata: JSON_TEXT, ...WRITE },
    call: ({ metadata }, args) => metadata.update(args.session_id, args.metadata, expected(args)),
    shape: nothing,
  },
  'metadata.get': {
    takes: { session_id: TEXT },
    call: ({ metadata }, args) => metadata.get(args.session_id),
    shape: found(({ json }) => `{"metadata":${json}}`),
  },
  'metadata.delete': {
    takes: { session_id: TEXT, keys: LIST, ...WRITE },
    call: ({ metadata }, args) => {
      const keys = args.keys.map((key, index) => string(`keys[${index}]`, key));
      return metadata.delete(args.session_id, keys, expected(args));
    },
    shape: nothing,
  },
  'feedback.add': {
    takes: { session_id: TEXT, feedback: JSON_TEXT, ...WRITE },
    call: ({ feedback }, args) => feedback.add(args.session_id, args.feedback, expected(args)),
    shape: nothing,
  },
  'feedback.list': {
    takes: { session_id: TEXT },
    call: ({ feedback }, args) => feedback.list(args.session_id),
    shape: array(entry),
  },
};

/** The arguments of a call, by the types that it takes. */
function readArguments(takes, text) {
  if (!text?.startsWith('{')) throw invalid('args: must be a JSON object');
  const args = {};
  for (const [name, value] of members(text)) {
    if (!Object.hasOwn(takes, name)) throw invalid(`args: unknown key ${JSON.stringify(name)}`);
    if (Object.hasOwn(args, name)) throw invalid(`args: the key \`${name}\` occurs twice`);
    const { read, isOptional = false, takesNull = isOptional } = takes[name];
    args[name] = takesNull && value === 'null' ? undefined : read(name, value);
  }
  for (const [name, { isOptional = false }] of Object.entries(takes)) {
    if (!isOptional && !Object.hasOwn(args, name)) throw invalid(`args: the key \`${name}\` is missing`);
  }
  return args;
}

/** Reads a line: the text of its id, and the call in it or the error to answer with. */
export function parse(line) {
  let id = 'null';
  try {
    try {
      JSON.parse(line);
    } catch {
      throw invalid('not a JSON object: the line is no JSON');
    }
    if (!line.trim().startsWith('{')) throw invalid('not a JSON object');
    const envelope = members(line);
    id = envelope.find(([key]) => key === 'id')?.[1] ?? 'null';
    const fields = {};
    for (const [key, value] of envelope) {
      if (!['id', 'call', 'args'].includes(key)) throw invalid(`unknown key ${JSON.stringify(key)}, expected \`id\`, \`call\` or \`args\``);
      if (Object.hasOwn(fields, key)) throw invalid(`the key \`${key}\` occurs twice`);
      fields[key] = value;
    }
    if (!fields.call?.startsWith('"')) throw invalid('`call` must be a text');
    const name = JSON.parse(fields.call);
    if (!Object.hasOwn(CALLS, name)) throw invalid(`unknown call ${JSON.stringify(name)}`);
    return { id, name, args: readArguments(CALLS[name].takes, fields.args) };
  } catch (error) {
    return { id, error };
  }
}

function refusal(error) {
  const { code, entity, current, size, limit, retryAfterMs: retry_after_ms, message } = error;
  return JSON.stringify({ code, entity, current, size, limit, retry_after_ms, message }, (key, value) =>
    typeof value === 'bigint' ? JSON.rawJSON(String(value)) : value,
  );
}

/** The response to a request, as a line without its end. */
export async function respond(repository, { id, name, args, error }) {
  try {
    if (error) throw error;
    const { call, shape } = CALLS[name];
    return `{"id":${id},"result":${shape(await call(repository, args))}}`;
  } catch (thrown) {
    if (!(thrown instanceof SessionError)) throw thrown;
    return `{"id":${id},"error":${refusal(thrown)}}`;
  }
}
