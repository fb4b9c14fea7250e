// What the example storage on MongoDB answers for errors of the driver. Needs MONGODB_URI.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { MongoClient, MongoServerError } from 'mongodb';
import { mongodbStorage } from '../../examples/mongodb/storage.js';

const { MONGODB_URI: uri } = process.env;
const skip = uri ? false : 'needs MONGODB_URI';

const session = (sessionId) => ({ sessionId, sessionType: 'default', createdAt: 0n, updatedAt: 0n });

suite('errors of the driver', { skip }, () => {
  const database = `node_errors_${process.pid}`;
  let client;

  before(async () => {
    client = await new MongoClient(uri).connect();
  });
  after(async () => {
    await client.db(database).dropDatabase();
    await client.close();
  });

  test('an id that is taken is told for a session only', async () => {
    const collection = client.db(database).collection('taken');
    await collection.createIndex({ 'metadata.k': 1 }, { unique: true, sparse: true });
    const storage = mongodbStorage(collection);
    for (const id of ['s', 't']) await storage.insertSession(session(id));
    const isTaken = (error) => error.cause instanceof MongoServerError && error.cause.code === 11000;
    await assert.rejects(storage.insertSession(session('s')), (error) => {
      assert.deepEqual([error.code, error.entity, isTaken(error)], ['already-exists', 'session', true]);
      return true;
    });
    const set = (id) => storage.setMetadata(id, [{ path: 'k', value: '1' }], 1n);
    await set('s');
    await assert.rejects(set('t'), (error) => {
      assert.deepEqual([error.code, isTaken(error)], ['corrupt', true]);
      return true;
    });
  });

  test('a client that is closed is unavailable', async () => {
    const closed = await new MongoClient(uri).connect();
    const storage = mongodbStorage(closed.db(database).collection('closed'));
    await storage.findSession('s');
    const under = Promise.allSettled([storage.findSession('s'), storage.insertSession(session('s'))]);
    await closed.close();
    for (const { reason } of await under) if (reason) assert.equal(reason.code, 'unavailable');
    await assert.rejects(storage.findSession('s'), { code: 'unavailable', message: 'the store cannot be reached right now' });
  });

  test('a pool without a free connection is a timeout', async () => {
    const busy = new MongoClient(uri, { maxPoolSize: 1, waitQueueTimeoutMS: 50, monitorCommands: true });
    const { promise: isBusy, resolve } = Promise.withResolvers();
    busy.on('commandStarted', ({ commandName }) => commandName === 'getMore' && resolve());
    const log = await client.db(database).createCollection('log', { capped: true, size: 4096 });
    await log.insertOne({ n: 1 });
    // The server holds the answer back, and the connection with it, until there is another document.
    const cursor = busy.db(database).collection('log').find({}, { tailable: true, awaitData: true, maxAwaitTimeMS: 60_000 });
    try {
      await cursor.next();
      const next = cursor.next().catch(() => null);
      await isBusy;
      const storage = mongodbStorage(busy.db(database).collection('busy'));
      await assert.rejects(storage.findSession('s'), { code: 'timeout', message: 'no answer came in time' });
      await log.insertOne({ n: 2 });
      assert.equal((await next)?.n, 2);
    } finally {
      await cursor.close();
      await busy.close();
    }
  });
});

test('a collection whose writes nobody acknowledges is refused', async () => {
  const client = new MongoClient('mongodb://127.0.0.1:1/?w=0');
  const database = client.db('d');
  const refusal = { name: 'TypeError', message: /`w` is 0/ };
  assert.throws(() => mongodbStorage(database.collection('c')), refusal);
  mongodbStorage(database.collection('c', { writeConcern: { w: 1 } }));
  const acknowledged = new MongoClient('mongodb://127.0.0.1:1/').db('d');
  mongodbStorage(acknowledged.collection('c'));
  assert.throws(() => mongodbStorage(acknowledged.collection('c', { writeConcern: { w: 0 } })), refusal);
  await client.close();
});
