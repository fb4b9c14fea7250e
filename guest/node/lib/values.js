// Values of callers in the form that the component takes, and its answers in the form that callers get.

import { byteLength } from '#platform';
import { SessionError, invalid, plainInteger } from './errors.js';

/** The largest text that one call may bring, in bytes. */
const MESSAGE_BYTES = 24 * 1024 * 1024;

/** The bytes of text in arguments. */
function weight(value) {
  if (typeof value === 'string') return byteLength(value);
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce((sum, part) => sum + weight(part), 0);
}

/** The arguments of a call, unless their text is too large. */
export function bring(args) {
  const size = weight(args);
  if (size > MESSAGE_BYTES) throw new SessionError('too-large', { size, limit: MESSAGE_BYTES });
  return args;
}

/** A text. The component would get a replacement character for a lone surrogate, so those are refused here. */
export function text(name, value) {
  if (typeof value !== 'string') throw invalid(`${name}: must be a text`);
  if (!value.isWellFormed()) throw invalid(`${name}: has a lone surrogate`);
  return value;
}

export function optionalText(name, value) {
  return value === undefined || value === null ? undefined : text(name, value);
}

export function integer(name, value, bits = BigInt.asIntN) {
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) {
    throw invalid(`${name}: must be an integer: a number up to 2^53-1, or a bigint`);
  }
  const big = BigInt(value);
  if (bits(64, big) !== big) throw invalid(`${name}: is out of range`);
  return big;
}

export function optionalInteger(name, value, bits) {
  return value === undefined || value === null ? undefined : integer(name, value, bits);
}

/** JSON text: a text as it is, anything else written as JSON. */
export function json(name, value) {
  if (typeof value === 'string') return text(name, value);
  let written;
  try {
    written = JSON.stringify(value, exactly);
  } catch (error) {
    if (error instanceof SessionError) throw invalid(`${name}: ${error.message}`);
    throw new SessionError('invalid-argument', { message: `${name}: cannot be written as JSON`, cause: error });
  }
  if (written === undefined) throw invalid(`${name}: must be an object or JSON text`);
  return written;
}

/** JSON has no bigint, and would have null in the place of a number that is none. */
function exactly(key, value) {
  if (typeof value === 'bigint') return JSON.rawJSON(String(value));
  if (typeof value === 'number' && !Number.isFinite(value)) throw invalid(`${value} is no JSON number`);
  return value;
}

export function array(name, value) {
  if (!Array.isArray(value)) throw invalid(`${name}: must be an array`);
  return value;
}

/** The options of a call. A name that the call does not know would go unnoticed, so it is refused. */
export function options(given, ...names) {
  if (given === undefined || given === null) return {};
  if (typeof given !== 'object') throw invalid('options: must be an object');
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) throw invalid(`options: there is no option \`${name}\` here`);
  }
  return given;
}

export const revision = ({ expectedRevision }) => optionalInteger('expectedRevision', expectedRevision, BigInt.asUintN);

function parsed(what, json) {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new SessionError('corrupt', { message: `${what} is no JSON`, cause });
  }
}

const time = (milliseconds) => new Date(Number(milliseconds));

export const found = (shape) => (value) => (value === undefined || value === null ? null : shape(value));

export const session = ({ sessionId, sessionType, createdAt, updatedAt, revision }) => ({
  sessionId,
  sessionType,
  createdAt: time(createdAt),
  updatedAt: time(updatedAt),
  revision: plainInteger(revision),
});

export const agent = ({ agentId, data, createdAt, updatedAt }) => ({
  agentId,
  data: parsed('the agent', data),
  json: data,
  createdAt: time(createdAt),
  updatedAt: time(updatedAt),
});

export const message = ({ messageId, body, createdAt, updatedAt }) => ({
  messageId: plainInteger(messageId),
  body: parsed('a message', body),
  json: body,
  createdAt: time(createdAt),
  updatedAt: time(updatedAt),
});

export const messages = (list) => list.map(message);

export const metadata = (json) => ({ data: parsed('the metadata', json), json });

export const entries = (list) =>
  list.map(({ body, createdAt }) => ({ body: parsed('a feedback entry', body), json: body, createdAt: time(createdAt) }));

export const nothing = () => undefined;

export const messageId = plainInteger;
