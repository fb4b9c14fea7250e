// Rules of metadata in memory that the conformance data leaves to each storage.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSyncRepository } from '../index.js';
import { memoryStorage } from '../memory.js';

function withMetadata(fields) {
  const { sessions, metadata } = createSyncRepository({ storage: memoryStorage() });
  sessions.create('s');
  metadata.update('s', fields);
  return metadata;
}

test('bytes are one value and have no fields', () => {
  const bytes = { __bytes_encoded__: true, data: 'AAEC' };
  const metadata = withMetadata({ bytes, like: { ...bytes, data: 'no base64' } });
  assert.throws(() => metadata.update('s', { 'bytes.data': 1 }), { code: 'invalid-argument' });
  metadata.delete('s', ['bytes.data']);
  metadata.update('s', { 'like.data': 1 });
  assert.deepEqual(metadata.get('s').data, { bytes, like: { ...bytes, data: 1 } });
});

test('nulls before positions far away are bounded, for one value and for a call', () => {
  const metadata = withMetadata({ a: [], b: [], c: [], d: [] });
  assert.throws(() => metadata.update('s', { 'a.1500001': 1 }), { code: 'invalid-argument' });
  const far = Object.fromEntries(['a', 'b', 'c', 'd'].map((name) => [`${name}.1500000`, 1]));
  assert.throws(() => metadata.update('s', far), { code: 'too-large' });
  assert.equal(metadata.get('s').json, '{"a":[],"b":[],"c":[],"d":[]}');
});
