// The conformance suite on the example storage on MongoDB. Needs MONGODB_URI, and SESSION_REPO: a session-repo.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { MongoClient } from 'mongodb';

const { MONGODB_URI: uri, SESSION_REPO: program } = process.env;
const skip = !uri || !program ? 'needs MONGODB_URI, and SESSION_REPO with the path of a session-repo' : false;
const database = `node_conformance_${process.pid}`;

/** The report of the suite; the exit status says whether a case failed. */
function report(...options) {
  const words = [process.execPath, join(import.meta.dirname, '../../examples/mongodb/exec.js'), '--store', uri];
  const command = [...words, '--database', database, '--collection', 'sessions'].map((word) => `'${word}'`).join(' ');
  return new Promise((resolve, reject) => {
    const args = ['conformance', '--json', '--exec', command, ...options];
    execFile(program, args, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else if (stdout === '') reject(new Error(stderr));
      else resolve(JSON.parse(stdout));
    });
  });
}

test('the storage passes the level core, and refuses all else as unsupported', { skip }, async () => {
  const { cases } = await report();
  const failed = (level) => cases.filter((each) => each.level === level && !each.passed);
  assert.ok(cases.length > 300);
  assert.deepEqual(failed('core'), []);
  const unsupported = failed('appends');
  assert.ok(unsupported.length > 0);
  assert.deepEqual(unsupported.filter(({ failure }) => !failure.why.includes('unsupported')), []);
  const client = new MongoClient(uri);
  await client.db(database).dropDatabase();
  await client.close();
});
