// The package in a browser: a page runs the conformance suite on the storage in memory, and uses the example page. Needs CHROMIUM.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize, sep } from 'node:path';
import { test } from 'node:test';

const browser = process.env.CHROMIUM;
const skip = browser ? false : 'needs CHROMIUM with the path of a browser: tests/scripts/chromium.sh prints one';
const package_ = join(import.meta.dirname, '../..');
const conformance = process.env.CONFORMANCE ?? join(package_, '../../tests/conformance');

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };

/** How long the page may take, in milliseconds. */
const PATIENCE = 240_000;

const OPTIONS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

async function cases() {
  const names = (await readdir(conformance)).filter((name) => name.endsWith('.json'));
  return JSON.stringify(await Promise.all(names.map((name) => readFile(join(conformance, name), 'utf8'))));
}

/** Serves the files of the package and the cases; resolves to the server and the report of the page. */
async function serve() {
  const report = Promise.withResolvers();
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    try {
      if (request.method === 'POST') {
        const body = (await request.toArray()).join('');
        response.end();
        report.resolve(JSON.parse(body));
        return;
      }
      if (pathname === '/cases') {
        response.end(await cases());
        return;
      }
      const path = normalize(join(package_, pathname));
      if (!path.startsWith(package_ + sep)) throw new Error('outside of the package');
      response.setHeader('content-type', TYPES[extname(path)] ?? 'application/octet-stream');
      response.end(await readFile(path));
    } catch {
      response.writeHead(404).end();
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { server, report: report.promise };
}

test('the conformance suite and the example pass in a browser, in both flavours', { skip }, async (context) => {
  const profile = await mkdtemp(join(tmpdir(), 'session-repository-browser-'));
  const { server, report } = await serve();
  const page = `http://127.0.0.1:${server.address().port}/test/browser/index.html`;
  const child = spawn(browser, [...OPTIONS, `--user-data-dir=${profile}`, page], { stdio: ['ignore', 'ignore', 'pipe'] });
  const errors = child.stderr.toArray();
  try {
    const ended = once(child, 'exit').then(async ([status]) => {
      throw new Error(`the browser ended with status ${status}: ${(await errors).join('')}`);
    });
    const late = once(AbortSignal.timeout(PATIENCE), 'abort').then(() => {
      throw new Error('the page has not reported');
    });
    const { failed, counted, costs } = await Promise.race([report, ended, late]);
    assert.deepEqual(failed, []);
    context.diagnostic(`a call of sessions.read costs ${JSON.stringify(costs)}`);
    assert.ok(counted.async > 300 && counted.sync === counted.async, JSON.stringify(counted));
    assert.deepEqual([counted['example async'], counted['example sync']], [1, 1]);
  } finally {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    server.closeAllConnections();
    server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
});
