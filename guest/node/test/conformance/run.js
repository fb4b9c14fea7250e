// Runs a case of the conformance suite. `call(name, args)` makes a call and resolves to `{ result }` or `{ error }`, read by `read`.

import { cut, fit } from './pattern.js';
import { Scope, isObject, write } from './values.js';

export async function run(call, { steps }, suffix) {
  await runSteps(call, steps, new Scope(suffix));
}

async function runSteps(call, steps, scope) {
  for (const step of steps) {
    if ('call' in step) await expectAnswer(call, step, scope);
    else if ('wait' in step) nextMillisecond();
    else if ('later' in step) compare(step.later, scope, (one, other) => one > other, 'later than');
    else if ('not-earlier' in step) compare(step['not-earlier'], scope, (one, other) => one >= other, 'not earlier than');
    else if ('repeat' in step) await loop(call, step, Array.from({ length: Number(step.repeat) }, (_, n) => BigInt(n)), scope);
    else if ('for-each' in step) await loop(call, step, step['for-each'].map((value) => scope.value(value)), scope);
    else if ('at-once' in step) await atOnce(call, step, scope);
    else throw new Error(`an unknown step: ${write(step)}`);
  }
}

async function loop(call, { as, steps }, values, scope) {
  const before = scope.bound.get(as);
  for (const value of values) {
    scope.bound.set(as, value);
    await runSteps(call, steps, scope).catch((error) => {
      throw new Error(`${error.message} (${as}: ${cut(write(value))})`);
    });
  }
  if (before === undefined) scope.bound.delete(as);
  else scope.bound.set(as, before);
}

async function expectAnswer(call, step, scope) {
  const args = scope.arguments(step.args);
  try {
    fits(step, await call(step.call, args), scope, new Map());
  } catch (error) {
    throw new Error(`${step.call} ${cut(args)}: ${error.message}`);
  }
}

function fits(expected, { result, error }, scope, distinct) {
  if ('result' in expected && error !== undefined) throw new Error(`expected a result, got the error ${write(error)}`);
  if ('error' in expected && error === undefined) throw new Error(`expected the error ${write(expected.error)}, got the result ${cut(write(result))}`);
  if ('error' in expected) fit({ '%object': expected.error }, error, scope, distinct);
  else fit(expected.result, result, scope, distinct);
}

function compare([one, other], scope, isRight, relation) {
  const [left, right] = [scope.bound.get(one), scope.bound.get(other)];
  if (!left || !right || !isRight(left, right)) throw new Error(`${one} (${left}) must be ${relation} ${other} (${right})`);
}

function nextMillisecond() {
  const begun = Date.now();
  while (Date.now() <= begun);
}

/** A writer's call, as often as it is to be made. */
function calls({ repeat, as, call, args }, scope) {
  if (repeat === undefined) return [{ name: call, args: scope.arguments(args) }];
  return Array.from({ length: Number(repeat) }, (_, n) => ({
    name: call,
    args: scope.with(as, BigInt(n)).arguments(args),
    variable: as === undefined ? undefined : BigInt(n),
  }));
}

async function atOnce(call, { 'at-once': made, answers }, scope) {
  const writers = made.flatMap((writer) =>
    isObject(writer) ? calls(writer, scope).map((single) => [single]) : [writer.flatMap((each) => calls(each, scope))],
  );
  const answered = await Promise.all(
    writers.map(async (writer) => {
      const got = [];
      for (const { name, args, variable } of writer) got.push({ name, variable, answer: await call(name, args) });
      return got;
    }),
  );
  const left = answers.map((outcome) => ({ outcome, count: outcome.count }));
  const distinct = new Map();
  for (const writer of answered) {
    let own = new Map();
    for (const { name, variable, answer } of writer) {
      own = take(left, answer, variable, scope, own) ?? unexpected(name, answer);
    }
    for (const [of, integers] of own) distinct.set(of, [...(distinct.get(of) ?? []), integers]);
  }
  const missing = left.find(({ count }) => count > 0n);
  if (missing) throw new Error(`at once: ${missing.count} answers more were to be ${write(missing.outcome)}`);
  for (const [of, writers] of distinct) areAll(of, writers);
}

function unexpected(name, answer) {
  throw new Error(`at once: ${name}: no outcome is left that fits ${cut(write(answer))}`);
}

/** Counts an answer for the first outcome that it fits, and returns the distinct integers with those in it. */
function take(left, answer, variable, scope, own) {
  for (const choice of left) {
    if (choice.count === 0n) continue;
    const [tried, integers] = [scope.copy(), new Map(own)];
    try {
      fits(choice.outcome, answer, tried, integers);
    } catch {
      continue;
    }
    choice.count -= 1n;
    if (choice.outcome.as !== undefined && variable !== undefined) tried.bound.set(choice.outcome.as, variable);
    scope.bound = tried.bound;
    return integers;
  }
  return undefined;
}

/** Integers must be 0, 1, 2, …, each once, and count up within each writer. */
function areAll(name, writers) {
  for (const integers of writers) {
    const falls = integers.some(({ first }, at) => at > 0 && first < integers[at - 1].first);
    if (falls) throw new Error(`at once: ${name} of one writer do not count up`);
  }
  const all = writers.flat().flatMap(({ first, count }) => Array.from({ length: Number(count) }, (_, n) => first + BigInt(n)));
  all.sort((one, other) => Number(one - other));
  if (all.some((integer, at) => integer !== BigInt(at))) throw new Error(`at once: ${name} are not 0 to ${all.length}, each once: ${all}`);
}
