// The programs in the READMEs run as they stand there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MongoClient } from 'mongodb';

const folder = join(import.meta.dirname, '..');
const programsOf = (folder) =>
  [...readFileSync(join(folder, 'README.md'), 'utf8').matchAll(/^```js\n(.*?)^```/gms)].map(([, program]) => program);
const programs = programsOf(folder);

function run(program, input, cwd = folder) {
  const options = { cwd, input, encoding: 'utf8' };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], options);
  assert.equal(status, 0, stderr);
  return stdout;
}

test('the quick start prints its message', () => assert.match(run(programs[0]), /^0 Hello! \d{4}-/));

test('the program for the conformance suite answers a call', () => {
  const answer = JSON.parse(run(programs[1], '{"id": 1, "call": "sessions.create", "args": {"session_id": "s"}}\n'));
  assert.equal(answer.result.session_id, 's');
});

const uri = process.env.MONGODB_URI;

test('the program of the storage on MongoDB prints its metadata', { skip: uri ? false : 'needs MONGODB_URI' }, async () => {
  const example = join(folder, 'examples/mongodb');
  const database = `node_readme_${process.pid}`;
  const program = programsOf(example)[0].replace("'chat'", `'${database}'`);
  assert.equal(run(program, '', example), '{"user":{"name":"Alice"}}\n');
  const client = new MongoClient(uri);
  await client.db(database).dropDatabase();
  await client.close();
});
