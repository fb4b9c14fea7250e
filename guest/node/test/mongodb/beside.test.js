// The example storage on MongoDB beside the Rust host: both work on one collection. Needs MONGODB_URI, and SESSION_REPO: a session-repo.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, suite, test } from 'node:test';
import { promisify } from 'node:util';
import { Binary, BSON, Decimal128, Int32, Long, MongoClient, ObjectId } from 'mongodb';
import { createRepository } from '../../index.js';
import { mongodbStorage } from '../../examples/mongodb/storage.js';
import { parse, respond } from '../../lib/exec.js';
import { equal, read, write } from '../conformance/values.js';
import { Program } from './program.js';

const { MONGODB_URI: uri, SESSION_REPO: program } = process.env;
const skip = !uri || !program ? 'needs MONGODB_URI, and SESSION_REPO with the path of a session-repo' : false;
const run = promisify(execFile);

suite('on MongoDB, beside the Rust host', { skip }, () => {
  const database = `node_${process.pid}`;
  const place = (name) => ['--store', uri, '--database', database, '--collection', name];
  let client;
  const programs = [];

  before(async () => {
    client = await new MongoClient(uri).connect();
  });
  after(async () => {
    for (const program of programs) await program.end();
    await client.db(database).dropDatabase();
    await client.close();
  });

  /** Two programs on a collection, the Rust host with these options. `args` of calls is an object or JSON text. */
  async function both(name, ...options) {
    const collection = client.db(database).collection(name);
    const rust = new Program(program, ['exec', ...place(name), ...options]);
    programs.push(rust);
    const repository = await createRepository({ storage: mongodbStorage(collection) });
    const text = (args) => (typeof args === 'string' ? args : JSON.stringify(args));
    return {
      collection,
      rust: async (name, args) => read(await rust.call(name, text(args))),
      node: async (name, args) => read(await respond(repository, parse(`{"call":${JSON.stringify(name)},"args":${text(args)}}`))),
    };
  }

  async function succeed(answer) {
    const { result, error } = await answer;
    assert.equal(error, undefined, error && write(error));
    return result;
  }

  async function refused(answer) {
    const { result, error } = await answer;
    assert.equal(result, undefined, `not refused: ${result && write(result)}`);
    return error.code;
  }

  /** Values that are easily changed on their way. */
  const VALUES = `{"one": 1, "float": 1.0, "big": 9223372036854775807, "least": -2147483648, "long": 2147483648, "zero": -0.0, "small": 5e-324,
    "2": {"b": 1, "a": [1, 1.5, {"$gt": 1}, []]}, "1": "$literal", "$ref": "a.b", "$id": {"$oid": "x"}, "_bsontype": "ObjectId", "toBSON": null,
    "__proto__": {"x": 1e300}, "bytes": {"__bytes_encoded__": true, "data": "AAEC"}, "no bytes": {"__bytes_encoded__": true, "data": "x"}}`.replaceAll('\n', '');

  const message = (id, body = VALUES) => `{"message_id": ${id}, ${body.trim().slice(1)}`;

  /** A session with all that a session has, made by one of the two. */
  async function fill(call, session) {
    const to = (rest) => `{"session_id": "${session}", ${rest}}`;
    const made = (name, rest) => succeed(call(name, to(rest)));
    await made('sessions.create', '"session_type": "chat"');
    await made('agents.create', `"agent": {"agent_id": "a", "model": "m", ${VALUES.slice(1)}`);
    await made('agents.create', '"agent": {"agent_id": "0"}');
    for (const id of [7, 0, 9007199254740993n]) await made('messages.create', `"agent_id": "a", "message": ${message(id)}`);
    await made('messages.update', `"agent_id": "a", "message": ${message(0, '{"redacted": true}')}`);
    await made('agents.update', `"agent": {"agent_id": "a", "state": ${VALUES}}`);
    await made('metadata.update', `"metadata": {"a.b": ${VALUES}, "list": [1, 2]}`);
    await made('metadata.update', '"metadata": {"list.3": 1.0}');
    await made('metadata.delete', '"keys": ["a.b.one"]');
    await made('feedback.add', `"feedback": ${VALUES}`);
  }

  const READS = [
    ['sessions.read', ''],
    ['agents.read', ', "agent_id": "a"'],
    ['agents.read', ', "agent_id": "0"'],
    ['messages.list', ', "agent_id": "a"'],
    ['messages.list', ', "agent_id": "a", "offset": 1, "limit": 1'],
    ['messages.read', ', "agent_id": "a", "message_id": 9007199254740993'],
    ['metadata.get', ''],
    ['feedback.list', ''],
  ];

  async function readAlike(rust, node, session) {
    for (const [name, rest] of READS) {
      const args = `{"session_id": "${session}"${rest}}`;
      const [one, other] = [await succeed(rust(name, args)), await succeed(node(name, args))];
      assert.ok(equal(one, other), `${name} ${rest}\nRust: ${write(one)}\nNode: ${write(other)}`);
    }
  }

  /** The bytes of a document, all but the times and the id. */
  const bytes = (document, session) =>
    Buffer.from(document)
      .toString('latin1')
      .replaceAll(session, 'the session')
      .replaceAll(/\t(created_at|updated_at)\0[^]{8}/g, '$1')
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, 'a time');

  test('the same calls make the same document, byte by byte', async () => {
    const { collection, rust, node } = await both('bytes');
    await fill(rust, 'by-rust');
    await fill(node, 'by-node');
    const [one, other] = await Promise.all(['by-rust', 'by-node'].map((_id) => collection.findOne({ _id }, { raw: true })));
    assert.equal(bytes(other, 'by-node'), bytes(one, 'by-rust'));
    for (const session of ['by-rust', 'by-node']) await readAlike(rust, node, session);
  });

  test('each goes on where the other stopped', async () => {
    const { rust, node } = await both('turns');
    const turns = [rust, node, node, rust, rust, node, rust, node];
    await succeed(rust('sessions.create', { session_id: 's' }));
    await succeed(node('agents.create', { session_id: 's', agent: { agent_id: 'a' } }));
    for (const [message_id, call] of turns.entries()) {
      await succeed(call('messages.create', { session_id: 's', agent_id: 'a', message: { message_id, role: 'user' } }));
      const other = call === rust ? node : rust;
      await succeed(other('messages.create', { session_id: 's', agent_id: 'a', message: { message_id, role: 'user' } }));
      assert.equal(await refused(other('messages.create', { session_id: 's', agent_id: 'a', message: { message_id } })), 'already-exists');
      await succeed(other('messages.update', { session_id: 's', agent_id: 'a', message: { message_id, role: 'other' } }));
    }
    assert.equal(await succeed(rust('messages.append', { session_id: 's', agent_id: 'a', message: {} })).then((it) => it.message_id), 8n);
    const { revision } = await succeed(node('sessions.read', { session_id: 's' }));
    assert.equal(revision, 18n);
    const list = await succeed(node('messages.list', { session_id: 's', agent_id: 'a' }));
    assert.deepEqual(list.map((message) => message.message_id), [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]);
    await readAlike(rust, node, 's');
  });

  test('what other programs left reads alike', async () => {
    const { collection, rust, node } = await both('foreign');
    const time = new Date('2024-01-26T10:30:45.123Z');
    const messages = [
      { message_id: 1, text: 'no time' },
      { message_id: new Long(2), created_at: '2024-01-26T10:30:50.123456+01:00', event_loop_metrics: { a: 1 }, storage_id: 'x' },
      'no message',
      { message_id: 'no id' },
      { message_id: 4.0, created_at: time, id: new ObjectId('0123456789abcdef01234567'), decimal: Decimal128.fromString('1.50') },
      { message_id: 5, created_at: '2024-01-26T10:30:44', bytes: new Binary(Buffer.from('ab'), 4), none: undefined, nan: Number.NaN },
      { message_id: 6, created_at: '2024-02-31T10:30:44Z' },
      { message_id: 7, created_at: '2024-01-25T24:00:00Z' },
    ];
    const agent_data = { agent_id: 'a', created_at: time, updated_at: '2024-01-26T10:35:12.456789Z', ref: { $ref: 'a', $id: 1, $db: 'c' } };
    await collection.insertOne({
      _id: 's',
      created_at: time,
      agents: { a: { agent_data, messages }, 0: { messages: null } },
      metadata: { when: time, far: new Date(8.64e15) },
      feedbacks: [{ rating: 'up' }, 7, { rating: 'down', created_at: time }],
      revision: 3.0,
    });
    await readAlike(rust, node, 's');
    await succeed(node('agents.update', { session_id: 's', agent: { agent_id: '0', model: 'm' } }));
    await succeed(node('messages.create', { session_id: 's', agent_id: 'a', message: { message_id: 8 } }));
    await succeed(node('messages.create', { session_id: 's', agent_id: '0', message: { message_id: 8 } }));
    await succeed(node('messages.update', { session_id: 's', agent_id: 'a', message: { message_id: 2, text: 'redacted' } }));
    const stored = await collection.findOne({ _id: 's' });
    const updated = stored.agents.a.messages.find(({ message_id }) => message_id === 2);
    assert.deepEqual([updated.text, updated.storage_id, updated.event_loop_metrics], ['redacted', 'x', { a: 1 }]);
    await readAlike(rust, node, 's');
  });

  test('messages are in the order of their times, whatever lies there', async () => {
    const { collection, rust, node } = await both('order');
    const created_at = new Date('2124-01-26T10:30:45.123Z');
    await collection.insertOne({ _id: 's', agents: { a: { messages: [{ message_id: 9 }, { message_id: 1, created_at }] } } });
    for (const [message_id, call] of [[2, node], [3, rust], [4, node]]) {
      await succeed(call('messages.create', { session_id: 's', agent_id: 'a', message: { message_id } }));
      await readAlike(rust, node, 's');
    }
    const list = await succeed(node('messages.list', { session_id: 's', agent_id: 'a' }));
    assert.deepEqual(list.map((message) => message.message_id), [2n, 3n, 4n, 1n, 9n]);
  });

  test('a redaction reaches each copy of a message', async () => {
    const { collection, rust, node } = await both('copies');
    const copy = (storage_id, text = 'secret') => ({ message_id: 1, text, storage_id, created_at: new Date() });
    await collection.insertOne({ _id: 's', agents: { a: { messages: [copy('x'), copy('y'), copy('z', 'another')] } } });
    await succeed(node('messages.update', { session_id: 's', agent_id: 'a', message: { message_id: 1, text: 'redacted' } }));
    const { messages } = (await collection.findOne({ _id: 's' })).agents.a;
    assert.deepEqual(messages.map(({ text, storage_id }) => [text, storage_id]), [['redacted', 'x'], ['redacted', 'y'], ['another', 'z']]);
    await readAlike(rust, node, 's');
  });

  test('a history that has an archive is refused, all else goes on', async () => {
    const { rust, node } = await both('archived', '--archive-after', '1KiB');
    await succeed(rust('sessions.create', { session_id: 's' }));
    for (const agent_id of ['a', 'b']) await succeed(rust('agents.create', { session_id: 's', agent: { agent_id } }));
    for (let n = 0; n < 5; n += 1) {
      await succeed(rust('messages.append', { session_id: 's', agent_id: 'a', message: { text: 'x'.repeat(500) } }));
    }
    await run(program, ['archive', 'run', 's', ...place('archived'), '--archive-after', '1KiB']);
    const of = (agent_id, message) => ({ session_id: 's', agent_id, ...message });
    const calls = [
      ['messages.create', of('a', { message: { message_id: 9 } })],
      ['messages.create', of('a', { message: { message_id: 0 } })],
      ['messages.update', of('a', { message: { message_id: 4 } })],
      ['messages.read', of('a', { message_id: 4 })],
      ['messages.list', of('a')],
    ];
    for (const [name, args] of calls) assert.equal(await refused(node(name, args)), 'unsupported', name);
    await succeed(node('agents.update', { session_id: 's', agent: { agent_id: 'a', model: 'm' } }));
    await succeed(node('messages.create', of('b', { message: { message_id: 0 } })));
    await succeed(node('metadata.update', { session_id: 's', metadata: { k: 1 } }));
    await succeed(node('feedback.add', { session_id: 's', feedback: {} }));
    assert.equal((await succeed(rust('messages.list', of('a')))).length, 5);
    assert.equal((await succeed(rust('agents.read', of('a')))).model, 'm');
    assert.equal((await succeed(rust('messages.append', of('a', { message: {} })))).message_id, 5n);

    await run(program, ['archive', 'undo', 's', ...place('archived'), '--archive-after', 'never']);
    assert.equal((await succeed(node('messages.list', of('a')))).length, 6);
    await succeed(node('messages.update', of('a', { message: { message_id: 0, text: 'redacted' } })));
    assert.equal((await succeed(rust('messages.read', of('a', { message_id: 0 })))).text, 'redacted');
  });

  test('both write at once and lose nothing', async () => {
    const { rust, node } = await both('at_once');
    await succeed(rust('sessions.create', { session_id: 's' }));
    await succeed(node('agents.create', { session_id: 's', agent: { agent_id: 'a' } }));
    const writers = [rust, node, rust, node].map(async (call, writer) => {
      for (let turn = 0; turn < 20; turn += 1) {
        const message_id = writer * 100 + turn;
        await succeed(call('messages.create', { session_id: 's', agent_id: 'a', message: { message_id, turn } }));
        await succeed(call('metadata.update', { session_id: 's', metadata: { [`writer${writer}.turn${turn}`]: turn } }));
        if (turn % 5 === 0) await succeed(call('messages.update', { session_id: 's', agent_id: 'a', message: { message_id, turn, again: true } }));
      }
    });
    await Promise.all(writers);
    const list = await succeed(node('messages.list', { session_id: 's', agent_id: 'a' }));
    const expected = [0, 1, 2, 3].flatMap((writer) => Array.from({ length: 20 }, (_, turn) => BigInt(writer * 100 + turn)));
    assert.deepEqual(list.map((it) => it.message_id).toSorted((one, other) => Number(one - other)), expected);
    for (const writer of [0n, 1n, 2n, 3n]) {
      const own = list.filter((it) => it.message_id / 100n === writer).map((it) => it.turn);
      assert.deepEqual(own, Array.from({ length: 20 }, (_, turn) => BigInt(turn)), 'a writer’s order');
    }
    assert.equal((await succeed(rust('sessions.read', { session_id: 's' }))).revision, 1n + 4n * (20n + 20n + 4n));
    await readAlike(rust, node, 's');
  });

  test('what is acknowledged is kept while the Rust host archives', async () => {
    const { rust, node } = await both('moving', '--archive-after', '1KiB');
    await succeed(rust('sessions.create', { session_id: 's' }));
    await succeed(rust('agents.create', { session_id: 's', agent: { agent_id: 'a' } }));
    const acknowledged = [];
    const open = new Set();
    /** Writes messages until `isOver` says so of an error. A write that was unavailable may have happened. */
    const writer = async (call, first, isOver) => {
      for (let message_id = first; message_id < first + 1000; message_id += 1) {
        const message = { message_id, text: 'x'.repeat(100) };
        const { error } = await call('messages.create', { session_id: 's', agent_id: 'a', message });
        if (!error) acknowledged.push(BigInt(message_id));
        else if (error.code === 'unavailable') open.add(BigInt(message_id));
        if (isOver(error)) return;
        assert.ok(!error || error.code === 'unavailable', error && write(error));
      }
      assert.fail('1000 messages, and not over');
    };
    const untilRefused = (first) => writer(node, first, (error) => error?.code === 'unsupported');
    let isRefused = false;
    const refusals = Promise.all([untilRefused(1000), untilRefused(2000)]).finally(() => {
      isRefused = true;
    });
    await Promise.all([writer(rust, 0, () => isRefused), refusals]);
    const list = await succeed(rust('messages.list', { session_id: 's', agent_id: 'a' }));
    const certain = list.map((it) => it.message_id).filter((id) => !open.has(id));
    const byValue = (one, other) => Number(one - other);
    assert.deepEqual(certain.toSorted(byValue), acknowledged.toSorted(byValue));
  });

  test('a large message fits', async () => {
    const { rust, node } = await both('large');
    await succeed(node('sessions.create', { session_id: 's' }));
    await succeed(node('agents.create', { session_id: 's', agent: { agent_id: 'a' } }));
    const message = (char) => ({ session_id: 's', agent_id: 'a', message: { message_id: 0, text: char.repeat(15 * 1024 * 1024) } });
    await succeed(node('messages.create', message('x')));
    await succeed(node('messages.update', message('y')));
    const { text } = await succeed(rust('messages.read', { session_id: 's', agent_id: 'a', message_id: 0 }));
    assert.equal(text, 'y'.repeat(15 * 1024 * 1024));
  });

  test('a session that is full is told, and stays as it is', async () => {
    const { collection, node } = await both('full');
    await succeed(node('sessions.create', { session_id: 's' }));
    const half = { text: 'x'.repeat(9 * 1024 * 1024) };
    await succeed(node('feedback.add', { session_id: 's', feedback: half }));
    assert.equal(await refused(node('feedback.add', { session_id: 's', feedback: half })), 'too-large');
    assert.equal(await refused(node('feedback.add', { session_id: 's', feedback: { text: half.text + half.text } })), 'too-large');
    assert.equal((await succeed(node('sessions.read', { session_id: 's' }))).revision, 1n);
    assert.equal(BSON.calculateObjectSize(await collection.findOne({ _id: 's' })) < 10 * 1024 * 1024, true);
  });

  test('a document that does not fit the schema is corrupt', async () => {
    const { collection, rust, node } = await both('corrupt');
    await collection.insertMany([
      { _id: 'm', metadata: 7, agents: { a: { messages: 'none' }, b: 7 }, feedbacks: 'none', revision: new Int32(0) },
      { _id: 'r', metadata: {}, revision: 'one' },
      { _id: 'n', feedbacks: null },
    ]);
    const calls = [
      ['metadata.get', { session_id: 'm' }],
      ['metadata.update', { session_id: 'm', metadata: { k: 1 } }],
      ['feedback.list', { session_id: 'm' }],
      ['feedback.add', { session_id: 'm', feedback: {} }],
      ['messages.list', { session_id: 'm', agent_id: 'a' }],
      ['messages.create', { session_id: 'm', agent_id: 'a', message: { message_id: 1 } }],
      ['agents.read', { session_id: 'm', agent_id: 'b' }],
      ['agents.update', { session_id: 'm', agent: { agent_id: 'b' } }],
      ['sessions.read', { session_id: 'r' }],
      ['feedback.add', { session_id: 'r', feedback: {} }],
    ];
    for (const [name, args] of calls) assert.equal(await refused(node(name, args)), 'corrupt', name);

    const add = ['feedback.add', { session_id: 'n', feedback: {} }];
    assert.equal(await refused(node(...add)), 'corrupt');
    await succeed(rust(...add));
    await succeed(node(...add));
  });
});

test('a server that cannot be reached is told without its address', async () => {
  const client = new MongoClient('mongodb://user:secret@127.0.0.1:1/?serverSelectionTimeoutMS=50');
  const { sessions } = await createRepository({ storage: mongodbStorage(client.db('d').collection('c')) });
  await assert.rejects(sessions.read('s'), (error) => {
    assert.equal(error.code, 'unavailable');
    assert.doesNotMatch(error.message, /127|secret/);
    return true;
  });
  await client.close();
});
