// A conversation on a storage in memory. With `?flavour=sync` on the synchronous flavour, which runs in every browser.

import { SessionError, createRepository } from 'session-repository';
import { memoryStorage } from 'session-repository/memory';

const [form, list, status] = ['form', 'ol', '[role=status]'].map((selector) => document.querySelector(selector));
const flavour = new URLSearchParams(location.search).get('flavour') ?? 'async';

const { sessions, agents, messages } = await createRepository({ storage: memoryStorage(), flavour });
await sessions.create('page', { sessionType: 'chat' });
await agents.create('page', 'assistant', {});

async function show() {
  const lines = (await messages.list('page', 'assistant')).map(({ body, createdAt }) => `${createdAt.toLocaleTimeString()} ${body.content}`);
  list.replaceChildren(...lines.map((line) => Object.assign(document.createElement('li'), { textContent: line })));
  status.textContent = `Revision ${(await sessions.read('page')).revision}, ${flavour} flavour`;
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    await messages.append('page', 'assistant', { role: 'user', content: form.elements.text.value }, { key: crypto.randomUUID() });
    form.reset();
    await show();
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    status.textContent = error.message;
  }
});

await show();
