// Serves the `exec` protocol on two streams. Types and documentation: serve.d.ts.

import { once } from 'node:events';
import { parse, respond } from './lib/exec.js';

/** Calls in flight; reading waits while there are so many. */
const CONCURRENCY = 64;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The lines of a stream. `node:readline` would end a line at U+2028 as well, which is an ordinary character in JSON. */
async function* lines(input) {
  let parts = [];
  for await (const chunk of input) {
    let rest = Buffer.from(chunk);
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      yield Buffer.concat([...parts, rest.subarray(0, end)]);
      [parts, rest] = [[], rest.subarray(end + 1)];
    }
    parts.push(rest);
  }
  yield Buffer.concat(parts);
}

/** The text of a line; none that is JSON if its bytes are no UTF-8. */
function decoded(line) {
  try {
    return decoder.decode(line);
  } catch {
    return 'not UTF-8';
  }
}

export async function serve(repository, { input = process.stdin, output = process.stdout } = {}) {
  /** For each session the last call on it: the next one begins when that has ended. */
  const last = new Map();
  const inFlight = new Set();

  async function answer(request, before) {
    await before;
    const line = await respond(repository, request);
    if (!output.write(`${line.replace(/[\r\n]/g, ' ')}\n`)) await once(output, 'drain');
  }

  for await (const bytes of lines(input)) {
    const line = decoded(bytes);
    if (line.trim() === '') continue;
    const request = parse(line);
    const sessionId = request.args?.session_id;
    const call = answer(request, last.get(sessionId));
    if (sessionId !== undefined) last.set(sessionId, call);
    inFlight.add(call);
    call.finally(() => {
      inFlight.delete(call);
      if (last.get(sessionId) === call) last.delete(sessionId);
    }).catch(() => {});
    if (inFlight.size >= CONCURRENCY) await Promise.race(inFlight);
  }
  await Promise.all(inFlight);
}
