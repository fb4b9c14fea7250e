// What the conformance data cannot say: JavaScript values, errors, and what happens around calls.

import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { suite, test } from 'node:test';
import { SessionError, createRepository, createSyncRepository } from '../index.js';
import { memoryStorage } from '../memory.js';
import { serve } from '../serve.js';

const SECRET = 'mongodb://user:password@host';

async function withAgent(options) {
  const repository = await createRepository({ storage: memoryStorage(), ...options });
  await repository.sessions.create('s');
  await repository.agents.create('s', 'a', {});
  return repository;
}

/** The error with which a call is refused, in either flavour. */
async function refusal(call) {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof SessionError, String(error));
    assert.ok(error instanceof Error);
    return error;
  }
  assert.fail('the call was not refused');
}

for (const flavour of ['async', 'sync']) {
  suite(`the ${flavour} flavour`, () => {
    test('gives and takes JavaScript values', async () => {
      const { sessions, agents, messages, metadata, feedback } = await createRepository({ storage: memoryStorage(), flavour });
      const created = await sessions.create('s', { sessionType: 'chat' });
      assert.ok(created.createdAt instanceof Date && Math.abs(Date.now() - created.createdAt) < 60_000);
      assert.deepEqual([created.sessionId, created.sessionType, created.revision], ['s', 'chat', 0]);
      await agents.create('s', 'a', { model: 'm', agent_id: 'a' });
      assert.deepEqual((await agents.read('s', 'a')).data, { model: 'm' });
      assert.equal(await messages.append('s', 'a', { role: 'user' }), 0);
      assert.equal(await messages.appendMany('s', 'a', [{ n: 1 }, '{"n": 1.0}']), 1);
      const listed = await messages.list('s', 'a', { offset: 1, limit: 2 });
      assert.deepEqual(listed.map(({ messageId, body, json }) => [messageId, body, json]), [
        [1, { n: 1 }, '{"n":1}'],
        [2, { n: 1 }, '{"n":1.0}'],
      ]);
      await metadata.update('s', { 'a.b': 1 });
      assert.deepEqual(await metadata.get('s'), { data: { a: { b: 1 } }, json: '{"a":{"b":1}}' });
      await metadata.delete('s', ['a.b']);
      await feedback.add('s', { rating: 5 });
      assert.deepEqual((await feedback.list('s')).map(({ body }) => body), [{ rating: 5 }]);
      assert.equal(await sessions.read('nobody'), null);
      assert.equal(await messages.read('s', 'a', 99), null);
    });

    test('keeps integers exact as bigints', async () => {
      const { messages } = await withAgent({ flavour });
      await messages.create('s', 'a', 2n ** 53n, { big: 2n ** 63n - 1n });
      const [{ messageId, json }] = await messages.list('s', 'a');
      assert.equal(messageId, 2n ** 53n);
      assert.equal(json, '{"big":9223372036854775807}');
      assert.equal(await messages.append('s', 'a', {}), 2n ** 53n + 1n);
    });

    test('refuses with errors that have fields', async () => {
      const { sessions, messages } = await withAgent({ flavour });
      const taken = await refusal(() => sessions.create('s'));
      assert.deepEqual([taken.name, taken.code, taken.entity, taken.message], ['SessionError', 'already-exists', 'session', 'the session exists already']);
      const stale = await refusal(() => messages.append('s', 'a', {}, { expectedRevision: 7 }));
      assert.deepEqual([stale.code, stale.current], ['stale', 1]);
      const large = await refusal(() => messages.append('s', 'a', { text: 'x'.repeat(25 * 1024 * 1024) }));
      assert.equal(large.code, 'too-large');
      assert.ok(large.size > large.limit && large.limit === 24 * 1024 * 1024);
    });

    test('does not bring the component arguments that are too large', async () => {
      const { sessions, agents, messages, metadata } = await withAgent({ flavour });
      // The component would refuse these ids for their length, had it seen them.
      const id = 'x'.repeat(24 * 1024 * 1024 + 1);
      const calls = [
        () => sessions.read(id),
        () => agents.create('s', id, {}),
        () => messages.appendMany('s', 'a', Array(3).fill({ text: id.slice(0, id.length / 3) })),
        () => metadata.delete('s', ['k', id]),
      ];
      for (const call of calls) {
        const { code, size, limit } = await refusal(call);
        assert.deepEqual([code, size > limit, limit], ['too-large', true, 24 * 1024 * 1024], String(call));
      }
    });

    test('refuses arguments that would not arrive as they are', async () => {
      const { sessions, messages, metadata } = await withAgent({ flavour });
      const circular = {};
      circular.self = circular;
      const calls = [
        () => sessions.read(7),
        () => sessions.read('lone \ud800'),
        () => sessions.create('t', { sessionTyp: 'chat' }),
        () => sessions.create('t', 'chat'),
        () => messages.create('s', 'a', 1.5, {}),
        () => messages.create('s', 'a', 2 ** 53, {}),
        () => messages.create('s', 'a', 2n ** 63n, {}),
        () => messages.create('s', 'a', -1, {}),
        () => messages.append('s', 'a', { n: Number.NaN }),
        () => messages.append('s', 'a', { n: 2n ** 64n }),
        () => messages.append('s', 'a', circular),
        () => messages.append('s', 'a', undefined),
        () => messages.append('s', 'a', '{"text": "\ud800"}'),
        () => messages.append('s', 'a', {}, { expectedRevision: -1 }),
        () => messages.appendMany('s', 'a', {}),
        () => metadata.delete('s', 'key'),
      ];
      for (const call of calls) assert.equal((await refusal(call)).code, 'invalid-argument', String(call));
      assert.deepEqual(await messages.list('s', 'a'), []);
    });

    test('does not tell callers what a storage throws', async () => {
      const broken = new Error(SECRET);
      const storage = {
        ...memoryStorage(),
        findSession() {
          throw broken;
        },
        findAgent() {
          throw new SessionError('quota-exceeded', { retryAfterMs: 250 });
        },
        getMetadata() {
          throw { payload: { tag: 'invalid-argument', val: SECRET } };
        },
        listFeedback: () => [{ body: 7, createdAt: 1n }],
        listMessages: () => [{ messageId: 1, body: 'no JSON', createdAt: 1, updatedAt: 1 }],
      };
      const { sessions, agents, messages, metadata, feedback } = await createRepository({ storage, flavour });
      const failed = await refusal(() => sessions.read('s'));
      assert.deepEqual([failed.code, failed.message, failed.cause], ['internal', 'the storage failed', broken]);
      assert.ok(!failed.stack.includes(SECRET));
      const quota = await refusal(() => agents.read('s', 'a'));
      assert.deepEqual([quota.code, quota.retryAfterMs], ['quota-exceeded', 250]);
      const foreign = await refusal(() => metadata.get('s'));
      assert.deepEqual([foreign.code, foreign.message], ['internal', 'the storage failed']);
      const misshapen = await refusal(() => feedback.list('s'));
      assert.deepEqual([misshapen.code, misshapen.cause.message], ['internal', 'body must be a text']);
      assert.equal((await refusal(() => messages.list('s', 'a'))).code, 'corrupt');
      await sessions.create('s');
    });

    test('refuses an answer that is too large', async () => {
      const body = JSON.stringify({ text: 'x'.repeat(20 * 1024 * 1024) });
      const storage = { ...memoryStorage(), listFeedback: () => Array(4).fill({ body, createdAt: 1n }) };
      const { feedback } = await createRepository({ storage, flavour });
      assert.equal((await refusal(() => feedback.list('s'))).code, 'too-large');
    });

    test('takes a body of 10 MB', async () => {
      const { messages } = await withAgent({ flavour });
      const text = '\u00e9'.repeat(5_000_000);
      await messages.append('s', 'a', { text });
      assert.equal((await messages.read('s', 'a', 0)).body.text, text);
    });

    test('serves 100 appends at once', async () => {
      const { messages } = await withAgent({ flavour });
      const ids = await Promise.all(Array.from({ length: 100 }, (_, n) => messages.append('s', 'a', { n })));
      assert.deepEqual(ids.toSorted((one, other) => one - other), Array.from({ length: 100 }, (_, n) => n));
      assert.equal((await messages.list('s', 'a')).length, 100);
    });

    test('keeps two repositories apart', async () => {
      const [one, other] = [await withAgent({ flavour }), await createRepository({ storage: memoryStorage(), flavour })];
      assert.equal(await other.sessions.read('s'), null);
      await other.sessions.create('s');
      assert.equal(await other.agents.read('s', 'a'), null);
      assert.notEqual(await one.agents.read('s', 'a'), null);
    });

    test('refuses options that it does not know', async () => {
      const options = { storage: memoryStorage(), flavor: 'sync' };
      await assert.rejects(createRepository(options), { name: 'TypeError', message: 'there is no option "flavor"' });
      assert.throws(() => createSyncRepository(options), { name: 'TypeError', message: 'there is no option "flavor"' });
    });

    test('needs a whole storage', async () => {
      const { listFeedback, ...lacking } = memoryStorage();
      await assert.rejects(createRepository({ storage: lacking, flavour }), { name: 'TypeError', message: 'the storage lacks listFeedback' });
    });
  });
}

// Without the pause before each call this test does not fail but hangs, and the timeout of the test runner ends it.
test('calls that begin as refused calls end do not hang', async () => {
  const { sessions } = await createRepository({ storage: memoryStorage() });
  const writers = Array.from({ length: 50 }, async (_, n) => {
    for (let turn = 0; turn < 10; turn += 1) {
      await refusal(() => sessions.create(''));
      await sessions.create(`s${n}.${turn}`);
    }
  });
  await Promise.all(writers);
  assert.equal((await sessions.read('s49.9')).revision, 0);
});

test('a storage that answers many calls together is served', async () => {
  let waiting = [];
  const together = () =>
    new Promise((resolve) => {
      if (waiting.length === 0) setTimeout(() => waiting.splice(0).forEach((answer) => answer()), 1);
      waiting.push(resolve);
    });
  const memory = memoryStorage();
  const delayed = ([name, serve]) => [name, async (...args) => (await together(), serve(...args))];
  const { sessions, agents, messages } = await createRepository({ storage: Object.fromEntries(Object.entries(memory).map(delayed)) });
  const writers = Array.from({ length: 40 }, async (_, n) => {
    await sessions.create(`s${n}`);
    await agents.create(`s${n}`, 'a', {});
    for (let turn = 0; turn < 10; turn += 1) {
      await messages.append(`s${n}`, 'a', { turn });
      if (turn % 3 === n % 3) await messages.list(`s${n}`, 'a');
    }
    return (await messages.list(`s${n}`, 'a')).length;
  });
  assert.deepEqual(await Promise.all(writers), Array(40).fill(10));
});

suite('the synchronous repository', () => {
  test('answers directly and throws', () => {
    const { sessions } = createSyncRepository({ storage: memoryStorage() });
    assert.equal(sessions.create('s').revision, 0);
    assert.throws(() => sessions.create('s'), { name: 'SessionError', code: 'already-exists', entity: 'session' });
  });

  test('refuses a storage that returns promises', () => {
    const storage = { ...memoryStorage(), findSession: () => Promise.reject(new Error(SECRET)) };
    const { sessions } = createSyncRepository({ storage });
    assert.throws(() => sessions.read('s'), { code: 'internal', message: 'the storage failed' });
    assert.equal(sessions.create('s').revision, 0);
  });

  test('serves one call at a time', () => {
    const storage = { ...memoryStorage(), findSession: () => repository.sessions.read('t') };
    const repository = createSyncRepository({ storage });
    assert.throws(() => repository.sessions.read('s'), { code: 'unavailable' });
    assert.equal(repository.sessions.create('s').revision, 0);
  });
});

suite('errors', () => {
  test('have a known code and the details of that code', () => {
    assert.throws(() => new SessionError('no-such-code'), TypeError);
    assert.throws(() => new SessionError('not-found'), TypeError);
    assert.throws(() => new SessionError('not-found', { entity: 'door' }), TypeError);
    assert.throws(() => new SessionError('timeout', { entity: 'session' }), TypeError);
    assert.equal(new SessionError('stale', { current: 2n ** 60n }).current, 2n ** 60n);
  });
});

suite('the exec protocol', () => {
  async function answers(text) {
    const [input, output] = [new PassThrough(), new PassThrough()];
    const served = serve(await createRepository({ storage: memoryStorage() }), { input, output });
    input.end(text);
    await served;
    output.end();
    return (await output.toArray()).join('').trim().split('\n').map((line) => JSON.parse(line));
  }

  test('keeps the order of calls on one session', async () => {
    const lines = [
      '{"id": 1, "call": "sessions.create", "args": {"session_id": "s"}}',
      '{"id": 2, "call": "metadata.update", "args": {"session_id": "s", "metadata": {"k": 1}}}',
      '{"id": 3, "call": "metadata.get", "args": {"session_id": "s"}}',
    ];
    const [, , last] = await answers(lines.join('\r\n'));
    assert.deepEqual(last, { id: 3, result: { metadata: { k: 1 } } });
  });

  test('answers each line, whatever is in it', async () => {
    const got = await answers('\n  \nno JSON\n[]\n{"id": 7, "call": "no.such", "args": {}}\n{"id": 8, "call": "sessions.read", "args": {"session_id": "\u2028"}}\n');
    const told = got.map(({ id, result, error }) => [id, error?.code ?? result]);
    assert.deepEqual(told.sort(), [[null, 'invalid-argument'], [null, 'invalid-argument'], [7, 'invalid-argument'], [8, null]]);
  });
});
