// The conformance suite, over the exec shapes, on the storage in memory.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { createRepository } from '../index.js';
import { parse, respond } from '../lib/exec.js';
import { memoryStorage } from '../memory.js';
import { run } from './conformance/run.js';
import { read } from './conformance/values.js';

const folder = process.env.CONFORMANCE ?? join(import.meta.dirname, '../../../tests/conformance');
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
const cases = files.flatMap((name) => read(readFileSync(join(folder, name), 'utf8')).cases ?? []);

test('the suite has cases', () => assert.ok(cases.length > 0, folder));

for (const flavour of ['async', 'sync']) {
  const repository = await createRepository({ storage: memoryStorage(), flavour });
  const call = async (name, args) => read(await respond(repository, parse(`{"call":${JSON.stringify(name)},"args":${args}}`)));
  suite(`conformance of the ${flavour} flavour`, { concurrency: true }, () => {
    cases.forEach((each, number) => test(each.name, () => run(call, each, `~${number}`)));
  });
}
