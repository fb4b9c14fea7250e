// A repository on MongoDB that speaks the `exec` protocol on stdin and stdout:
//
//   node exec.js --store URI --database NAME --collection NAME

import { parseArgs } from 'node:util';
import { MongoClient } from 'mongodb';
import { createRepository } from 'session-repository';
import { serve } from 'session-repository/exec';
import { mongodbStorage } from './storage.js';

const text = { type: 'string' };
const { values } = parseArgs({ options: { store: text, database: text, collection: text }, strict: false });
const { store, database, collection } = values;
if (![store, database, collection].every((value) => typeof value === 'string' && value !== '')) {
  console.error('usage: exec.js --store URI --database NAME --collection NAME');
  process.exit(2);
}
const client = new MongoClient(store);
try {
  await client.connect();
  await serve(await createRepository({ storage: mongodbStorage(client.db(database).collection(collection)) }));
} finally {
  await client.close();
}
