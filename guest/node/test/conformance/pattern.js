// Whether an answer is the one that a case expects.

import { equal, isObject, placeholder, write } from './values.js';

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

class Mismatch extends Error {}

/** Throws unless an answer fits a pattern. Binds names in the scope; adds distinct integers, by their names, to `distinct`. */
export function fit(pattern, got, scope, distinct, place = '') {
  const check = (fits, expected = pattern) => {
    if (!fits) throw new Mismatch(`at ${place || 'the top'}: expected ${cut(write(expected))}, got ${cut(write(got))}`);
  };
  const bind = (name) => {
    if (scope.bound.has(name)) check(equal(scope.bound.get(name), got), scope.bound.get(name));
    else scope.bound.set(name, got);
  };
  const members = (expected) => {
    check(isObject(got));
    for (const [key, inner] of Object.entries(expected)) {
      if (!Object.hasOwn(got, key)) throw new Mismatch(`at ${place || 'the top'}: the member ${key} is missing`);
      fit(inner, got[key], scope, distinct, `${place}.${key}`);
    }
  };
  const [name, about] = placeholder(pattern) ?? [];
  switch (name) {
    case undefined:
      if (Array.isArray(pattern)) {
        check(Array.isArray(got) && got.length === pattern.length);
        pattern.forEach((inner, at) => fit(inner, got[at], scope, distinct, `${place}[${at}]`));
      } else if (isObject(pattern)) {
        members(pattern.session_id === undefined ? pattern : withSuffix(pattern, scope));
        const extra = Object.keys(got).find((key) => !Object.hasOwn(pattern, key));
        if (extra !== undefined) throw new Mismatch(`at ${place || 'the top'}: the member ${extra} is too much`);
      } else {
        check(equal(pattern, got));
      }
      return;
    case 'any':
      return;
    case 'list':
      check(Array.isArray(got) && BigInt(got.length) === about.repeat);
      got.forEach((item, at) => {
        if (about.as !== undefined) scope.bound.set(about.as, BigInt(at));
        fit(about.item, item, scope, distinct, `${place}[${at}]`);
      });
      return;
    case 'object':
      members(about.session_id === undefined ? about : withSuffix(about, scope));
      return;
    case 'time':
      check(typeof got === 'string' && TIME.test(got));
      bind(about);
      return;
    case 'bind':
      bind(about);
      return;
    case 'starts':
      check(typeof got === 'string' && got.startsWith(about));
      return;
    case 'contains':
      check(typeof got === 'string' && got.includes(about));
      return;
    case 'distinct': {
      const [of, count] = Array.isArray(about) ? about : [about, 1n];
      check(typeof got === 'bigint');
      distinct.set(of, [...(distinct.get(of) ?? []), { first: got, count }]);
      return;
    }
    default:
      check(equal(scope.value(pattern), got), scope.value(pattern));
  }
}

/** A pattern whose session id has the suffix of the case. */
function withSuffix(pattern, scope) {
  const [name] = placeholder(pattern.session_id) ?? [];
  const isValue = name === undefined || !['any', 'bind', 'starts', 'contains'].includes(name);
  return isValue ? { ...pattern, session_id: scope.sessionId(pattern.session_id) } : pattern;
}

export function cut(text) {
  return text.length <= 300 ? text : `${text.slice(0, 300)} …`;
}
