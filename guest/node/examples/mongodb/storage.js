// A storage on the driver `mongodb`, in the schema of the Python class `MongoDBSessionRepository`. It works beside the Rust host on one
// collection. What it does not do is in README.md.
//
// Each write is one update of one document, found by its `_id`. Data in update pipelines stands in `$literal`.

import { BSON, Long } from 'mongodb';
import { SessionError } from 'session-repository';
import { fields, integer, parse, parseObject, write } from './bson.js';
import { asSessionError, corrupt, isRefused, isTaken, tooLarge } from './errors.js';
import { array, firstMessage, inOrder, isInOrder, latest, replacedMessages, time, without } from './expressions.js';

/** How often a write is tried that matches nothing although nothing is in its way: others write in between. */
const ATTEMPTS = 8;
/** What stands around a part of a session in its document, in bytes. */
const FRAME = 1024;
/** More messages than a document can hold. */
const ALL = 2n ** 31n - 1n;

const IS_OBJECT = { $type: 'object', $not: { $type: 'array' } };
const PRIMARY = { readPreference: 'primary' };

const date = (milliseconds) => new Date(Number(milliseconds));
const notFound = (entity) => new SessionError('not-found', { entity });
const alreadyExists = (entity, cause) => new SessionError('already-exists', { entity, cause });
const unsupported = (what) => new SessionError('unsupported', { message: `this storage does not ${what}` });

function refuseRevision(expected) {
  if (expected !== undefined) throw unsupported('check an expected revision');
}

/** A part of a session, if a document can hold it. */
function bounded(part) {
  const size = BSON.calculateObjectSize(part) + FRAME;
  if (size > tooLarge().limit) throw tooLarge(size);
  return part;
}

/** The name of an agent in a session, and of its fields. */
function path(agentId) {
  const agent = `agents.${agentId}`;
  return { agentId, agent, field: (name) => `${agent}.${name}`, value: (name) => `$${agent}.${name}` };
}

/** What a classic update of a session changes in any case. */
const written = (at) => ({ $max: { updated_at: date(at) }, $inc: { revision: Long.ONE } });

/** The same in a pipeline, for an agent and its session. */
const writtenTo = (agent, at) => ({
  updated_at: latest('$updated_at', date(at)),
  revision: { $add: [{ $ifNull: ['$revision', Long.ZERO] }, Long.ONE] },
  [agent.field('updated_at')]: latest(agent.value('updated_at'), date(at)),
});

/** A condition: no message of the agent is in the archive of the Rust host or on its way there. */
const isWhole = (agent) => ({ [agent.field('archive.id')]: { $not: { $type: 'objectId' } } });

/** The time of a session: of its creation, or of its last write. */
const timeOfSession = (session) => session.get('created_at')?.time ?? session.get('updated_at')?.time ?? 0n;

/** A member that is a document. One that is missing or null has no fields. */
function child(of, name) {
  const value = of.get(name);
  if (value === undefined || value.isNull) return new Map();
  if (!value.document) throw corrupt(name);
  return fields(value.document);
}

function timeOfAgent(session, agentId) {
  const agent = child(child(session, 'agents'), agentId);
  return child(agent, 'agent_data').get('created_at')?.time ?? agent.get('created_at')?.time ?? timeOfSession(session);
}

/** A stored message; none without a valid id. One without a time has that of its agent. */
function message(value, omit, otherwise) {
  const stored = value.document && fields(value.document);
  const messageId = stored?.get('message_id')?.integer;
  if (messageId === undefined) return undefined;
  const createdAt = stored.get('created_at')?.time ?? otherwise;
  const updatedAt = stored.get('updated_at')?.time ?? createdAt;
  const hidden = new Set(['message_id', 'created_at', 'updated_at', ...omit]);
  return { messageId, body: write(value.document, (name) => !hidden.has(name)), createdAt, updatedAt };
}

/** A storage on a collection of the driver. The caller opens and closes the client. */
export function mongodbStorage(collection) {
  if (collection.writeConcern?.w === 0) throw new TypeError('the write concern `w` is 0: the storage needs acknowledged writes');

  /** Fields of a session, as an expression or 1 for each; none if there is no such session. */
  async function find(sessionId, projection, options) {
    const found = await collection.findOne({ _id: sessionId }, { ...options, projection: { _id: 0, ...projection }, raw: true });
    return found === null ? undefined : fields(found);
  }

  /** Updates a session; tells whether the condition held. */
  async function update(sessionId, condition, change) {
    const { matchedCount } = await collection.updateOne({ _id: sessionId, ...condition }, change);
    return matchedCount > 0;
  }

  async function updateSession(sessionId, change) {
    if (!(await update(sessionId, {}, change))) throw notFound('session');
  }

  /** Updates an agent if a condition holds. Where it does not, `judge` says why, from the type of the agent and what else was asked for. */
  async function updateAgent(sessionId, agent, condition, change, judge, question = {}) {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (await update(sessionId, condition, change)) return undefined;
      const asked = { kind: { $type: `$${agent.agent}` }, archive: { $type: agent.value('archive.id') }, ...question };
      const found = await find(sessionId, asked, PRIMARY);
      if (!found) throw notFound('session');
      const kind = found.get('kind').text;
      if (kind !== 'object' && kind !== 'missing') throw corrupt('agent');
      const judged = judge(kind === 'object', found);
      if (judged !== undefined) return judged;
    }
    throw new SessionError('unavailable', { message: 'others change the session at each attempt' });
  }

  const requireAgent = (isThere) => {
    if (!isThere) throw notFound('agent');
  };

  function requireWhole(found) {
    if (found.get('archive').text === 'objectId') throw unsupported('read or write messages of a history that has an archive');
  }

  /** What is asked of an agent's messages, and the times that a message without one takes its own from. */
  async function findMessages(sessionId, agent, question) {
    const times = { created_at: 1, updated_at: 1, [agent.field('created_at')]: 1, [agent.field('agent_data.created_at')]: 1 };
    const found = await find(sessionId, { ...times, archive: { $type: agent.value('archive.id') }, ...question });
    if (found) requireWhole(found);
    return found;
  }

  const storage = {
    async insertSession({ sessionId, sessionType, createdAt, updatedAt }) {
      const times = { created_at: date(createdAt), updated_at: date(updatedAt) };
      const named = { _id: sessionId, session_id: sessionId, session_type: sessionType };
      try {
        await collection.insertOne({ ...named, ...times, metadata: {}, feedbacks: [], agents: {} });
      } catch (error) {
        throw isTaken(error) ? alreadyExists('session', error) : error;
      }
    },

    async findSession(sessionId) {
      const found = await find(sessionId, { session_type: 1, created_at: 1, updated_at: 1, revision: 1 });
      if (!found) return null;
      const [type, revision] = [found.get('session_type'), found.get('revision')];
      const sessionType = type === undefined || type.isNull ? 'default' : type.text;
      const count = revision === undefined || revision.isNull ? 0n : revision.integer;
      if (sessionType === undefined) throw corrupt('session_type');
      if (count === undefined || count < 0n) throw corrupt('revision');
      const createdAt = timeOfSession(found);
      return { sessionId, sessionType, createdAt, updatedAt: found.get('updated_at')?.time ?? createdAt, revision: count };
    },

    async insertAgent(sessionId, { agentId, data, createdAt, updatedAt }, expectedRevision) {
      refuseRevision(expectedRevision);
      const agent = path(agentId);
      const [created_at, updated_at] = [date(createdAt), date(updatedAt)];
      const agent_data = new Map([['agent_id', agentId], ...parseObject(data)]);
      agent_data.set('created_at', created_at.toISOString()).set('updated_at', updated_at.toISOString());
      const stored = bounded({ agent_data, created_at, updated_at, messages: [] });
      const change = { $set: { [agent.agent]: stored }, ...written(updatedAt) };
      await updateAgent(sessionId, agent, { [agent.agent]: { $exists: false } }, change, (isThere) => {
        if (isThere) throw alreadyExists('agent');
      });
    },

    async findAgent(sessionId, agentId) {
      const agent = path(agentId);
      const wanted = ['agent_data', 'created_at', 'updated_at'].map((name) => [agent.field(name), 1]);
      const question = { created_at: 1, updated_at: 1, kind: { $type: `$${agent.agent}` }, ...Object.fromEntries(wanted) };
      const found = await find(sessionId, question);
      const kind = found?.get('kind').text ?? 'missing';
      if (kind === 'missing') return null;
      if (kind !== 'object') throw corrupt(agent.agent);
      const stored = child(child(found, 'agents'), agentId);
      const inData = child(stored, 'agent_data');
      const createdAt = timeOfAgent(found, agentId);
      const updates = [inData, stored].map((fields) => fields.get('updated_at')?.time).filter((time) => time !== undefined);
      const isOwn = (name) => !['agent_id', 'created_at', 'updated_at'].includes(name);
      const data = inData.size > 0 ? write(stored.get('agent_data').document, isOwn) : '{}';
      return { agentId, data, createdAt, updatedAt: updates.toSorted((one, other) => Number(one - other)).at(-1) ?? createdAt };
    },

    async replaceAgent(sessionId, agentId, data, updatedAt, keep, expectedRevision) {
      refuseRevision(expectedRevision);
      const agent = path(agentId);
      const own = bounded(new Map([['agent_id', agentId], ...parseObject(data)]));
      const [now, outer] = [date(updatedAt), agent.value('created_at')];
      const asText = { $dateToString: { date: outer, format: '%Y-%m-%dT%H:%M:%S.%LZ' } };
      const created = { $cond: [{ $eq: [{ $type: outer }, 'date'] }, asText, now.toISOString()] };
      const kept = { created_at: { $ifNull: [agent.value('agent_data.created_at'), created] }, updated_at: now.toISOString() };
      for (const name of keep) kept[name] = agent.value(`agent_data.${name}`);
      const change = {
        ...writtenTo(agent, updatedAt),
        [agent.field('created_at')]: { $ifNull: [outer, now] },
        [agent.field('agent_data')]: { $mergeObjects: [{ $literal: own }, kept] },
      };
      await updateAgent(sessionId, agent, { [agent.agent]: IS_OBJECT }, [{ $set: change }], requireAgent);
    },

    async appendMessage(sessionId, agentId, { messageId, body, createdAt, updatedAt }, omit, expectedRevision) {
      refuseRevision(expectedRevision);
      const [agent, id] = [path(agentId), integer(messageId)];
      const stamps = [['created_at', date(createdAt)], ['updated_at', date(updatedAt)]];
      const stored = bounded(new Map([['message_id', id], ...parseObject(body), ...stamps]));
      const messages = { $ifNull: [agent.value('messages'), []] };
      const all = { $concatArrays: [messages, [{ $literal: stored }]] };
      const last = { $let: { vars: { last: { $last: messages } }, in: time('$$last.created_at') } };
      const isLast = { $or: [{ $eq: [{ $size: messages }, 0] }, { $lte: [last, date(createdAt)] }] };
      const change = {
        ...writtenTo(agent, updatedAt),
        // By a variable, because the new message is in the command as often as `all`.
        [agent.field('messages')]: { $let: { vars: { all }, in: { $cond: [{ $and: [isInOrder(agent), isLast] }, '$$all', inOrder('$$all')] } } },
        // How many messages are known to be in the order of their times: the Rust host sorts them if it is not all.
        [agent.field('in_order')]: { $add: [{ $size: messages }, 1] },
      };
      const condition = { [agent.agent]: IS_OBJECT, [agent.field('messages.message_id')]: { $ne: id }, ...isWhole(agent) };
      const judge = (isThere, found) => {
        requireAgent(isThere);
        requireWhole(found);
        const taken = found.get('message') && message(found.get('message'), omit, 0n);
        return taken && { taken };
      };
      const question = { message: firstMessage(agent, id) };
      return (await updateAgent(sessionId, agent, condition, [{ $set: change }], judge, question)) ?? {};
    },

    async appendMessages() {
      throw unsupported('give message ids');
    },

    async findMessage(sessionId, agentId, messageId, omit) {
      const agent = path(agentId);
      const found = await findMessages(sessionId, agent, { message: firstMessage(agent, integer(messageId), omit) });
      const stored = found?.get('message');
      return stored && message(stored, omit, timeOfAgent(found, agentId));
    },

    async replaceMessage(sessionId, agentId, messageId, body, updatedAt, keep, expectedRevision) {
      refuseRevision(expectedRevision);
      const [agent, id] = [path(agentId), integer(messageId)];
      const stored = bounded(new Map([['message_id', id], ...parseObject(body)]));
      const change = { ...writtenTo(agent, updatedAt), [agent.field('messages')]: replacedMessages(agent, id, stored, date(updatedAt), keep) };
      const condition = { [agent.field('messages.message_id')]: id, ...isWhole(agent) };
      const judge = (isThere, found) => {
        requireAgent(isThere);
        requireWhole(found);
        if (!found.has('message')) throw notFound('message');
      };
      await updateAgent(sessionId, agent, condition, [{ $set: change }], judge, { message: firstMessage(agent, id) });
    },

    async listMessages(sessionId, agentId, offset, limit, omit) {
      if (limit === 0n) return [];
      const agent = path(agentId);
      const within = (count) => Number(count < ALL ? count : ALL);
      const messages = array(agent.value('messages'));
      const ordered = { $cond: [isInOrder(agent), messages, inOrder(messages)] };
      const page = { $slice: [ordered, within(offset), within(limit ?? ALL)] };
      const found = await findMessages(sessionId, agent, { kind: { $type: agent.value('messages') }, page: without(page, omit) });
      if (!found) return [];
      if (!['array', 'missing', 'null'].includes(found.get('kind').text)) throw corrupt('messages');
      const otherwise = timeOfAgent(found, agentId);
      return found.get('page').items.flatMap((stored) => message(stored, omit, otherwise) ?? []);
    },

    async setMetadata(sessionId, values, updatedAt, expectedRevision) {
      refuseRevision(expectedRevision);
      if (values.length === 0) return requireSession(sessionId);
      const set = bounded(Object.fromEntries(values.map(({ path, value }) => [`metadata.${path}`, parse(value)])));
      try {
        await updateSession(sessionId, { $set: set, ...written(updatedAt) });
      } catch (error) {
        if (!isRefused(error)) throw error;
        const found = await find(sessionId, { metadata: { $type: '$metadata' } });
        if (!['object', 'missing', undefined].includes(found?.get('metadata').text)) throw corrupt('metadata');
        throw new SessionError('invalid-argument', { message: 'metadata: a path leads through a value that cannot hold it', cause: error });
      }
    },

    async getMetadata(sessionId) {
      const found = await find(sessionId, { metadata: 1 });
      const metadata = found?.get('metadata');
      if (metadata === undefined || metadata.isNull) return found && '{}';
      if (!metadata.document) throw corrupt('metadata');
      return metadata.json();
    },

    async unsetMetadata(sessionId, paths, updatedAt, expectedRevision) {
      refuseRevision(expectedRevision);
      if (paths.length === 0) return requireSession(sessionId);
      const unset = Object.fromEntries(paths.map((path) => [`metadata.${path}`, '']));
      await updateSession(sessionId, { $unset: unset, ...written(updatedAt) });
    },

    async appendFeedback(sessionId, { body, createdAt }, expectedRevision) {
      refuseRevision(expectedRevision);
      const entry = bounded(parseObject(body).set('created_at', date(createdAt)));
      await updateSession(sessionId, { $push: { feedbacks: { $each: [entry] } }, ...written(createdAt) });
    },

    async listFeedback(sessionId) {
      const found = await find(sessionId, { feedbacks: 1, created_at: 1, updated_at: 1 });
      const feedbacks = found?.get('feedbacks');
      if (feedbacks === undefined || feedbacks.isNull) return [];
      if (!feedbacks.items) throw corrupt('feedbacks');
      const entries = feedbacks.items.flatMap(({ document }) => (document ? [[document, fields(document).get('created_at')?.time]] : []));
      // Entries without a time come last.
      const place = ([, time]) => (time === undefined ? Infinity : Number(time));
      entries.sort((one, other) => (place(one) === place(other) ? 0 : place(one) - place(other)));
      return entries.map(([document, time]) => ({
        body: write(document, (name) => name !== 'created_at'),
        createdAt: time ?? timeOfSession(found),
      }));
    },
  };

  async function requireSession(sessionId) {
    if (!(await find(sessionId, { session_id: 1 }, PRIMARY))) throw notFound('session');
  }

  const translated = ([name, call]) => [name, (...args) => call(...args).catch((error) => Promise.reject(asSessionError(error)))];
  return Object.fromEntries(Object.entries(storage).map(translated));
}
