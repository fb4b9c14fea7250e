// The programs in the README run as they stand there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const folder = join(import.meta.dirname, '..');
const programs = [...readFileSync(join(folder, 'README.md'), 'utf8').matchAll(/^```js\n(.*?)^```/gms)].map(([, program]) => program);

function run(program, input) {
  const options = { cwd: folder, input, encoding: 'utf8' };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], options);
  assert.equal(status, 0, stderr);
  return stdout;
}

test('the quick start prints its message', () => assert.match(run(programs[0]), /^0 Hello! \d{4}-/));

test('the program for the conformance suite answers a call', () => {
  const answer = JSON.parse(run(programs[1], '{"id": 1, "call": "sessions.create", "args": {"session_id": "s"}}\n'));
  assert.equal(answer.result.session_id, 's');
});
