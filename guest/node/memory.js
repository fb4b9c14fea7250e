// A storage in memory. Types and documentation: memory.d.ts.

import { SessionError } from './lib/errors.js';
import { members, object } from './lib/json.js';
import { print, set, unset } from './lib/metadata.js';

/** How many keyed appends an agent remembers. */
const REMEMBERED_APPENDS = 256;

const HIGHEST_ID = 2n ** 63n - 1n;

const later = (one, other) => (one > other ? one : other);

class Message {
  #fields;

  constructor(messageId, body, createdAt, updatedAt) {
    this.messageId = messageId;
    this.createdAt = createdAt;
    this.updatedAt = updatedAt;
    this.#fields = new Map(members(body));
  }

  without(omit) {
    const shown = [...this.#fields].filter(([name]) => !omit.includes(name));
    return { messageId: this.messageId, body: object(shown), createdAt: this.createdAt, updatedAt: this.updatedAt };
  }

  replace(body, updatedAt, keep) {
    this.#fields = replaced(this.#fields, body, keep);
    this.updatedAt = later(updatedAt, this.updatedAt);
  }
}

/** The fields of a text, with those of the old ones that stay. */
function replaced(old, text, keep) {
  const fields = new Map(members(text));
  for (const name of keep) {
    if (old.has(name)) fields.set(name, old.get(name));
  }
  return fields;
}

class Agent {
  #data;
  /** In the order of a list: by time of creation, equal times as appended. */
  #messages = [];
  #byId = new Map();
  #highestId = -1n;
  /** The keyed appends that are remembered, oldest first: of each the first id and the digest. */
  #appends = new Map();

  constructor({ agentId, data, createdAt, updatedAt }) {
    this.agentId = agentId;
    this.createdAt = createdAt;
    this.updatedAt = updatedAt;
    this.#data = new Map(members(data));
  }

  read() {
    return { agentId: this.agentId, data: object(this.#data), createdAt: this.createdAt, updatedAt: this.updatedAt };
  }

  replace(data, keep) {
    this.#data = replaced(this.#data, data, keep);
  }

  message(messageId) {
    return this.#byId.get(messageId);
  }

  list(offset, limit) {
    const begin = Number(offset);
    return this.#messages.slice(begin, limit === undefined ? undefined : begin + Number(limit));
  }

  remembered(key) {
    return this.#appends.get(key);
  }

  remember(key, append) {
    this.#appends.set(key, append);
    if (this.#appends.size > REMEMBERED_APPENDS) this.#appends.delete(this.#appends.keys().next().value);
  }

  /** The first of so many ids in a row above all others. */
  nextId(count) {
    const first = this.#highestId + 1n;
    if (first + BigInt(count) - 1n > HIGHEST_ID) {
      throw new SessionError('invalid-argument', { message: 'there is no next message id: the highest one is taken' });
    }
    return first;
  }

  /** The time of the newest message, or the given time if that is later. */
  notBeforeNewest(time) {
    return this.#messages.length === 0 ? time : later(time, this.#messages.at(-1).createdAt);
  }

  add(message) {
    let place = this.#messages.length;
    while (place > 0 && this.#messages[place - 1].createdAt > message.createdAt) place -= 1;
    this.#messages.splice(place, 0, message);
    this.#byId.set(message.messageId, message);
    this.#highestId = later(this.#highestId, message.messageId);
  }
}

class Session {
  agents = new Map();
  metadata = new Map();
  feedback = [];

  constructor({ sessionId, sessionType, createdAt, updatedAt, revision }) {
    this.row = { sessionId, sessionType, createdAt, updatedAt, revision };
  }

  agent(agentId) {
    const agent = this.agents.get(agentId);
    if (!agent) throw new SessionError('not-found', { entity: 'agent' });
    return agent;
  }

  expect(revision) {
    if (revision !== undefined && revision !== this.row.revision) throw new SessionError('stale', { current: this.row.revision });
  }

  /** Ends a write. All that can refuse it comes before. */
  written(time, agent) {
    this.row.revision += 1n;
    this.row.updatedAt = later(time, this.row.updatedAt);
    if (agent) agent.updatedAt = later(time, agent.updatedAt);
  }
}

export function memoryStorage() {
  const sessions = new Map();

  function existing(sessionId) {
    const session = sessions.get(sessionId);
    if (!session) throw new SessionError('not-found', { entity: 'session' });
    return session;
  }

  const found = (sessionId, agentId) => sessions.get(sessionId)?.agents.get(agentId);

  return {
    insertSession(session) {
      if (sessions.has(session.sessionId)) throw new SessionError('already-exists', { entity: 'session' });
      sessions.set(session.sessionId, new Session(session));
    },

    findSession(sessionId) {
      const session = sessions.get(sessionId);
      return session && { ...session.row };
    },

    insertAgent(sessionId, agent, expectedRevision) {
      const session = existing(sessionId);
      if (session.agents.has(agent.agentId)) throw new SessionError('already-exists', { entity: 'agent' });
      session.expect(expectedRevision);
      session.agents.set(agent.agentId, new Agent(agent));
      session.written(agent.updatedAt);
    },

    findAgent: (sessionId, agentId) => found(sessionId, agentId)?.read(),

    replaceAgent(sessionId, agentId, data, updatedAt, keep, expectedRevision) {
      const session = existing(sessionId);
      const agent = session.agent(agentId);
      session.expect(expectedRevision);
      agent.replace(data, keep);
      session.written(updatedAt, agent);
    },

    appendMessage(sessionId, agentId, { messageId, body, createdAt, updatedAt }, omit, expectedRevision) {
      const session = existing(sessionId);
      const agent = session.agent(agentId);
      const taken = agent.message(messageId);
      if (taken) return { taken: taken.without(omit) };
      session.expect(expectedRevision);
      agent.add(new Message(messageId, body, createdAt, updatedAt));
      session.written(updatedAt, agent);
      return {};
    },

    appendMessages(sessionId, agentId, bodies, createdAt, key, expectedRevision) {
      const session = existing(sessionId);
      const agent = session.agent(agentId);
      const known = key && agent.remembered(key.key);
      if (known && known.digest !== key.digest) throw new SessionError('already-exists', { entity: 'message' });
      if (known) return known.first;
      session.expect(expectedRevision);
      const first = agent.nextId(bodies.length);
      const time = agent.notBeforeNewest(createdAt);
      const appended = bodies.map((body, index) => new Message(first + BigInt(index), body, time, time));
      for (const message of appended) agent.add(message);
      if (key) agent.remember(key.key, { first, digest: key.digest });
      session.written(time, agent);
      return first;
    },

    findMessage: (sessionId, agentId, messageId, omit) => found(sessionId, agentId)?.message(messageId)?.without(omit),

    replaceMessage(sessionId, agentId, messageId, body, updatedAt, keep, expectedRevision) {
      const session = existing(sessionId);
      const agent = session.agent(agentId);
      const message = agent.message(messageId);
      if (!message) throw new SessionError('not-found', { entity: 'message' });
      session.expect(expectedRevision);
      message.replace(body, updatedAt, keep);
      session.written(updatedAt, agent);
    },

    listMessages(sessionId, agentId, offset, limit, omit) {
      const messages = found(sessionId, agentId)?.list(offset, limit) ?? [];
      return messages.map((message) => message.without(omit));
    },

    setMetadata(sessionId, fields, updatedAt, expectedRevision) {
      const session = existing(sessionId);
      session.expect(expectedRevision);
      if (fields.length === 0) return;
      session.metadata = set(session.metadata, fields);
      session.written(updatedAt);
    },

    getMetadata(sessionId) {
      const session = sessions.get(sessionId);
      return session && print(session.metadata);
    },

    unsetMetadata(sessionId, paths, updatedAt, expectedRevision) {
      const session = existing(sessionId);
      session.expect(expectedRevision);
      if (paths.length === 0) return;
      for (const path of paths) unset(session.metadata, path);
      session.written(updatedAt);
    },

    appendFeedback(sessionId, { body, createdAt }, expectedRevision) {
      const session = existing(sessionId);
      session.expect(expectedRevision);
      session.feedback.push({ body, createdAt });
      session.written(createdAt);
    },

    listFeedback: (sessionId) => (sessions.get(sessionId)?.feedback ?? []).map((entry) => ({ ...entry })),
  };
}
