// Metadata as a tree, and paths into it. A node is a map (an object), an array, or the text of any other value.

import { SessionError } from './errors.js';
import { items, members, object } from './json.js';

/** How far beyond the end of an array a value may be set; the places between are filled with null. */
const MAX_PADDING = 1_500_000;

/** How many nulls one call may leave between values. */
const MAX_NULLS = 5_000_000;

const HIGHEST_POSITION = 2 ** 32 - 1;

function node(text) {
  const value = text.trim();
  if (value.startsWith('[')) return items(value).map(node);
  if (!value.startsWith('{')) return value;
  const fields = members(value);
  return isBytes(fields) ? value : new Map(fields.map(([key, text]) => [key, node(text)]));
}

/** Whether an object is the marker of bytes, which is one value and has no fields. */
function isBytes(fields) {
  if (fields.length !== 2) return false;
  const { __bytes_encoded__: marker, data } = Object.fromEntries(fields);
  if (marker !== 'true' || !data?.startsWith('"')) return false;
  return isBase64(JSON.parse(data));
}

/** Whether a text is base64 that reads back as it is written. */
function isBase64(text) {
  try {
    return btoa(atob(text)) === text;
  } catch {
    return false;
  }
}

export function print(at) {
  if (typeof at === 'string') return at;
  if (Array.isArray(at)) return `[${at.map(print).join(',')}]`;
  return object([...at].map(([key, child]) => [key, print(child)]));
}

/** A copy whose branches along a path can be changed without the original: all or no fields of a call are set. */
function copy(at) {
  if (typeof at === 'string') return at;
  return Array.isArray(at) ? at.map(copy) : new Map([...at].map(([key, child]) => [key, copy(child)]));
}

/** The position in an array that a segment stands for, if it is one. */
function position(segment) {
  if (!/^[0-9]+$/.test(segment)) return undefined;
  const number = Number(segment);
  return number <= HIGHEST_POSITION ? number : undefined;
}

function unfit(path) {
  return new SessionError('invalid-argument', {
    message: `metadata: the path ${JSON.stringify(path)} leads through a value that cannot hold it`,
  });
}

const isNumber = (segment) => segment === '0' || /^[1-9]/.test(segment);

/** Lower positions come first, so that no path leads through the nulls that a higher one puts before it. */
function inOrder({ segments: one }, { segments: other }) {
  for (let level = 0; level < Math.min(one.length, other.length); level += 1) {
    const [left, right] = [one[level], other[level]];
    if (left === right) continue;
    if (isNumber(left) && isNumber(right) && left.length !== right.length) return left.length - right.length;
    return left < right ? -1 : 1;
  }
  return one.length - other.length;
}

/** The metadata with these fields; the given metadata stays as it is. */
export function set(metadata, fields) {
  const root = copy(metadata);
  const steps = fields.map(({ path, value }) => ({ path, segments: path.split('.'), value: node(value) })).sort(inOrder);
  let nulls = MAX_NULLS;
  for (const { path, segments, value } of steps) {
    let at = root;
    segments.forEach((segment, level) => {
      const isLast = level === segments.length - 1;
      if (at instanceof Map) {
        if (isLast) at.set(segment, value);
        else if (!at.has(segment)) at.set(segment, new Map());
        at = at.get(segment);
        return;
      }
      const index = Array.isArray(at) ? position(segment) : undefined;
      if (index === undefined || index - at.length > MAX_PADDING) throw unfit(path);
      if (index >= at.length) {
        nulls -= index - at.length;
        if (nulls < 0) throw new SessionError('too-large', { size: (MAX_NULLS - nulls) * 'null,'.length, limit: MAX_NULLS * 'null,'.length });
        while (at.length < index) at.push('null');
        at.push(new Map());
      }
      if (isLast) at[index] = value;
      at = at[index];
    });
  }
  return root;
}

/** Removes what is at a path. An item of an array becomes null, so that the others keep their positions. */
export function unset(metadata, path) {
  const segments = path.split('.');
  const last = segments.pop();
  let at = metadata;
  for (const segment of segments) at = child(at, segment);
  if (at instanceof Map) {
    at.delete(last);
  } else if (child(at, last) !== undefined) {
    at[position(last)] = 'null';
  }
}

function child(at, segment) {
  if (at instanceof Map) return at.get(segment);
  return Array.isArray(at) ? at[position(segment)] : undefined;
}
