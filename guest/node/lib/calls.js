// The calls of the repository: for each its arguments in the order of the component's function, and the shape of its answer.

import * as values from './values.js';

const { array, found, integer, json, options, optionalInteger, optionalText, revision, text } = values;

const ofAgent = (sessionId, agentId) => [text('sessionId', sessionId), text('agentId', agentId)];

export const CALLS = {
  sessions: {
    create: {
      take(sessionId, given) {
        const chosen = options(given, 'sessionType', 'expectedRevision');
        return [text('sessionId', sessionId), optionalText('sessionType', chosen.sessionType), revision(chosen)];
      },
      give: values.session,
    },
    read: { take: (sessionId) => [text('sessionId', sessionId)], give: found(values.session) },
  },
  agents: {
    create: {
      take: (sessionId, agentId, agent, given) => [
        ...ofAgent(sessionId, agentId),
        json('agent', agent),
        revision(options(given, 'expectedRevision')),
      ],
      give: values.nothing,
    },
    read: { take: ofAgent, give: found(values.agent) },
    update: {
      take: (sessionId, agentId, agent, given) => [
        ...ofAgent(sessionId, agentId),
        json('agent', agent),
        revision(options(given, 'expectedRevision')),
      ],
      give: values.nothing,
    },
  },
  messages: {
    create: {
      take: (sessionId, agentId, messageId, message, given) => [
        ...ofAgent(sessionId, agentId),
        integer('messageId', messageId),
        json('message', message),
        revision(options(given, 'expectedRevision')),
      ],
      give: values.nothing,
    },
    append: {
      take(sessionId, agentId, message, given) {
        const chosen = options(given, 'key', 'expectedRevision');
        return [...ofAgent(sessionId, agentId), json('message', message), optionalText('key', chosen.key), revision(chosen)];
      },
      give: values.messageId,
    },
    appendMany: {
      take(sessionId, agentId, messages, given) {
        const chosen = options(given, 'key', 'expectedRevision');
        const bodies = array('messages', messages).map((message, index) => json(`messages[${index}]`, message));
        return [...ofAgent(sessionId, agentId), bodies, optionalText('key', chosen.key), revision(chosen)];
      },
      give: values.messageId,
    },
    read: {
      take: (sessionId, agentId, messageId) => [...ofAgent(sessionId, agentId), integer('messageId', messageId)],
      give: found(values.message),
    },
    update: {
      take: (sessionId, agentId, messageId, message, given) => [
        ...ofAgent(sessionId, agentId),
        integer('messageId', messageId),
        json('message', message),
        revision(options(given, 'expectedRevision')),
      ],
      give: values.nothing,
    },
    list: {
      take(sessionId, agentId, given) {
        const { limit, offset } = options(given, 'limit', 'offset');
        return [...ofAgent(sessionId, agentId), optionalInteger('limit', limit), integer('offset', offset ?? 0)];
      },
      give: values.messages,
    },
  },
  metadata: {
    update: {
      take: (sessionId, metadata, given) => [
        text('sessionId', sessionId),
        json('metadata', metadata),
        revision(options(given, 'expectedRevision')),
      ],
      give: values.nothing,
    },
    get: { take: (sessionId) => [text('sessionId', sessionId)], give: found(values.metadata) },
    delete: {
      take: (sessionId, keys, given) => [
        text('sessionId', sessionId),
        array('keys', keys).map((key, index) => text(`keys[${index}]`, key)),
        revision(options(given, 'expectedRevision')),
      ],
      give: values.nothing,
    },
  },
  feedback: {
    add: {
      take: (sessionId, feedback, given) => [
        text('sessionId', sessionId),
        json('feedback', feedback),
        revision(options(given, 'expectedRevision')),
      ],
      give: values.nothing,
    },
    list: { take: (sessionId) => [text('sessionId', sessionId)], give: values.entries },
  },
};
