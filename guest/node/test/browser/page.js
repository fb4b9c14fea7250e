// Runs the conformance suite in both flavours and the example page in a frame, and reports to the server.

/** Cases share some repositories, because each waits for timers by itself in the asynchronous flavour. */
const REPOSITORIES = 16;

const failed = [];
const counted = {};
const costs = {};

async function attempt(name, run) {
  try {
    await run();
  } catch (error) {
    failed.push(`${name}: ${error.stack ?? error}`);
  }
}

async function conformance(flavour, cases) {
  const { createRepository } = await import('../../index.js');
  const { memoryStorage } = await import('../../memory.js');
  const { parse, respond } = await import('../../lib/exec.js');
  const { run } = await import('../conformance/run.js');
  const { read } = await import('../conformance/values.js');
  const repositories = await Promise.all(
    Array.from({ length: REPOSITORIES }, () => createRepository({ storage: memoryStorage(), flavour })),
  );
  const callTo = (repository) => async (name, args) =>
    read(await respond(repository, parse(`{"call":${JSON.stringify(name)},"args":${args}}`)));
  const calls = repositories.map(callTo);
  const each = cases.flatMap((text) => read(text).cases ?? []);
  const runOne = (one, number) => attempt(`${flavour}: ${one.name}`, () => run(calls[number % REPOSITORIES], one, `~${number}`));
  await Promise.all(each.map(runOne));
  counted[flavour] = each.length;
  const begun = performance.now();
  for (let n = 0; n < 50; n += 1) await repositories[0].sessions.read('s');
  costs[flavour] = `${Math.round(((performance.now() - begun) * 1000) / 50)} µs`;
}

/** Types a message into the example page, as a person would, and waits until the page shows it. */
async function example(flavour) {
  const frame = document.createElement('iframe');
  frame.src = `../../examples/browser/index.html?flavour=${flavour}`;
  document.body.append(frame);
  await new Promise((resolve) => frame.addEventListener('load', resolve));
  const shows = (selector, text) =>
    new Promise((resolve) => {
      const page = frame.contentDocument;
      const look = () => page.querySelector(selector)?.textContent.includes(text) && resolve();
      new MutationObserver(look).observe(page, { childList: true, subtree: true, characterData: true });
      look();
    });
  await shows('[role=status]', `Revision 1, ${flavour} flavour`);
  const form = frame.contentDocument.querySelector('form');
  form.elements.text.value = 'Hello!';
  form.requestSubmit();
  await shows('li', 'Hello!');
  counted[`example ${flavour}`] = 1;
}

await attempt('all', async () => {
  const cases = await (await fetch('/cases')).json();
  for (const flavour of ['sync', 'async']) {
    await attempt(flavour, () => conformance(flavour, cases));
    await attempt(`example ${flavour}`, () => example(flavour));
  }
});
await fetch('/report', { method: 'POST', body: JSON.stringify({ failed, counted, costs }) });
