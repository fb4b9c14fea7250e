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
});
