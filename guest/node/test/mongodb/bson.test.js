// What the example storage on MongoDB reads that the driver does not write.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BSON, MinKey } from 'mongodb';
import { fields, write } from '../../examples/mongodb/bson.js';

test('an undefined value is Extended JSON wherever it stands', () => {
  const bytes = Buffer.from(BSON.serialize({ none: new MinKey(), list: [new MinKey(), 1], within: { none: new MinKey() } }));
  // Both types have no bytes but their own.
  const least = bytes.map((byte) => (byte === 0xff ? 0x06 : byte));
  assert.equal(write(least), '{"none":{"$undefined":true},"list":[{"$undefined":true},1],"within":{"none":{"$undefined":true}}}');
});

test('text is a time if there is such a time', () => {
  const time = (text) => fields(BSON.serialize({ text })).get('text').time;
  const day = BigInt(Date.UTC(2024, 1, 29));
  for (const text of ['2024-02-29T00:00:00Z', '2024-02-29t00:00:00', '2024-02-28 23:00:00-01:00', '2024-02-29T00:00:00.000999z']) {
    assert.equal(time(text), day, text);
  }
  assert.equal(time('2000-02-29T00:00:00Z'), BigInt(Date.UTC(2000, 1, 29)));
  const none = ['2024-02-30', '2024-02-31', '2023-02-29', '1900-02-29', '2024-04-31', '2024-13-01', '2024-00-10', '2024-01-00', '2024-01-32'];
  for (const date of none) assert.equal(time(`${date}T10:00:00Z`), undefined, date);
  for (const of of ['24:00:00', '23:60:00', '10:00:00+24:00', '10:00:00+01:60']) assert.equal(time(`2024-01-01T${of}`), undefined, of);
});
