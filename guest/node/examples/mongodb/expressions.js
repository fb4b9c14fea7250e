// Expressions of the server, for projections and update pipelines.

/** The later one of a stored time and another one. */
export const latest = (stored, time) => ({ $max: [stored, time] });

/** An array, or an empty one in the place of anything else. */
export const array = (field) => ({ $cond: [{ $isArray: [field] }, field, []] });

/** Later than all stored times. */
const NEVER = new Date(8.64e15);

const RFC_3339 = '^\\d{4}-\\d{2}-\\d{2}[Tt ]\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?([Zz]|[+-]\\d{2}:\\d{2})?\\z';

/** The time by which a message is ordered: a date, or RFC 3339 text. One without a time comes last. */
export function time(createdAt) {
  const is = (type) => ({ $eq: [{ $type: createdAt }, type] });
  const isText = { $cond: [is('string'), { $regexMatch: { input: createdAt, regex: RFC_3339 } }, false] };
  const branches = [
    { case: is('date'), then: createdAt },
    { case: isText, then: { $dateFromString: { dateString: createdAt, onError: NEVER } } },
  ];
  return { $switch: { branches, default: NEVER } };
}

/** Messages by their times, equal times as they lie. The server's sort is not stable, so the place is the second key. */
export function inOrder(messages) {
  const one = { $let: { vars: { message: { $arrayElemAt: ['$$all', '$$at'] } }, in: { at: '$$at', time: time('$$message.created_at') } } };
  const keys = { $map: { input: { $range: [0, { $size: '$$all' }] }, as: 'at', in: one } };
  const sorted = { $sortArray: { input: keys, sortBy: { time: 1, at: 1 } } };
  return { $let: { vars: { all: messages }, in: { $map: { input: sorted, in: { $arrayElemAt: ['$$all', '$$this.at'] } } } } };
}

/** Whether all messages of an agent are known to be in the order of their times. */
export const isInOrder = (agent) => ({ $eq: [agent.value('in_order'), { $size: array(agent.value('messages')) }] });

/** Documents of a list without some of their fields. */
export function without(documents, omit) {
  const bare = omit.reduce((input, field) => ({ $unsetField: { field, input } }), '$$this');
  return { $map: { input: documents, in: { $cond: [{ $eq: [{ $type: '$$this' }, 'object'] }, bare, '$$this'] } } };
}

/** The first message of an agent that has an id. */
export function firstMessage(agent, id, omit = []) {
  const withId = { $filter: { input: array(agent.value('messages')), cond: { $eq: ['$$this.message_id', id] }, limit: 1 } };
  return { $first: without(withId, omit) };
}

/** Fields in which copies of one message differ. */
const COPIES_DIFFER = ['created_at', 'updated_at', 'storage_id'];

/**
 * All messages of an agent, with another one in the place of that with an id: its time of creation stays, and the fields to keep.
 *
 * A program that retries by hand may have stored the message twice: exact copies are replaced, too. Another message under the id stays.
 */
export function replacedMessages(agent, id, message, now, keep) {
  const kept = { created_at: '$$message.created_at', updated_at: latest('$$message.updated_at', now) };
  for (const name of keep) kept[name] = `$$message.${name}`;
  const replaced = { $mergeObjects: [{ $literal: message }, kept] };
  const content = (of) => COPIES_DIFFER.reduce((input, field) => ({ $unsetField: { field, input } }), of);
  const isCopy = { $eq: [content('$$message'), content('$$first')] };
  // Only what has an id is sure to be a document, so the two conditions come one after the other.
  const each = { $cond: [{ $eq: ['$$message.message_id', id] }, { $cond: [isCopy, replaced, '$$message'] }, '$$message'] };
  const all = { $map: { input: array(agent.value('messages')), as: 'message', in: each } };
  return { $let: { vars: { first: firstMessage(agent, id) }, in: all } };
}
