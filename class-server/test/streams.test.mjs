/** Streams over HTTP: in one process, workerd cannot show a client that disconnects. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import http from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';

import { startServer } from '../local.mjs';

const MODEL = '@cf/meta/llama-3.2-3b-instruct';
const ADMIN_KEY = 'admin-key';
const ADMIN_KEY_HASH = createHash('sha256').update(ADMIN_KEY).digest('hex');
const INPUT = 4625 / 1e6;
const OUTPUT = 30475 / 1e6;
const frame = usage => {
  const choices = [{ index: 0, delta: { content: 'word' } }];
  return `data: ${JSON.stringify({ choices, usage })}\n\n`;
};
const WORD = frame({ prompt_tokens: 0, completion_tokens: 1, neurons: 0.5 });
const TOTAL = `data: ${JSON.stringify({
  response: '',
  usage: { prompt_tokens: 9, completion_tokens: 50, neurons: 2.5 }
})}\n\ndata: [DONE]\n\n`;

let answer; // writes the answer to a response of the upstream
let isCut;
let local;
const upstream = http.createServer((request, response) => {
  request.resume();
  response.on('close', () => (isCut = !response.writableFinished));
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  void answer(response);
});

before(async () => {
  await new Promise(resolve => upstream.listen(0, '127.0.0.1', resolve));
  const API_BASE = `http://127.0.0.1:${upstream.address().port}`;
  local = await startServer({ variables: { API_BASE, ADMIN_KEY_HASH } });
  await admin('PATCH', 'class', { budget: 1e6, share: 1e6 });
  local.key = (await admin('POST', 'students', { name: 'Ada' })).key;
});

async function admin(method, path, body) {
  const response = await fetch(`${local.url}admin/${path}`, {
    method,
    headers: { authorization: `Bearer ${ADMIN_KEY}` },
    body: JSON.stringify(body)
  });
  return response.json();
}

after(async () => {
  await local.server.dispose();
  upstream.closeAllConnections();
  upstream.close();
});

beforeEach(() => (isCut = undefined));

const headers = () => ({ authorization: `Bearer ${local.key}` });

function ask(signal) {
  const messages = [{ role: 'user', content: 'Hello' }];
  const body = JSON.stringify({ model: MODEL, stream: true, messages });
  return fetch(`${local.url}v1/chat/completions`, {
    method: 'POST',
    headers: headers(),
    body,
    signal
  });
}

async function spent() {
  for (;;) {
    const me = await (
      await fetch(`${local.url}me`, { headers: headers() })
    ).json();
    if (me.reserved === 0) {
      return me.spent;
    }
    await wait(20);
  }
}

test('a stream is passed on unchanged, and settled by its last bytes', async () => {
  const before = await spent();
  answer = async response => {
    response.write(WORD.repeat(500));
    await wait(20);
    response.end(TOTAL);
  };
  const response = await ask();
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  assert.equal(await response.text(), WORD.repeat(500) + TOTAL);
  assert.ok(Math.abs((await spent()) - before - 2.5) < 1e-6);
});

test('the first token is passed on before the second one exists', async () => {
  let isRead = false;
  answer = async response => {
    response.write(WORD);
    while (!isRead) {
      await wait(5);
    }
    response.end(TOTAL);
  };
  const chunks = (await ask()).body.getReader();
  assert.equal(new TextDecoder().decode((await chunks.read()).value), WORD);
  isRead = true;
  while (!(await chunks.read()).done) {
    // read to the end
  }
  await spent();
});

test('a client that disconnects pays for what was passed on, and the upstream ends', async () => {
  const before = await spent();
  answer = async response => {
    for (let count = 0; count < 50; count++) {
      response.write(WORD);
    }
    while (!response.closed) {
      await wait(20);
      response.write(WORD);
    }
  };
  const controller = new AbortController();
  const reader = (await ask(controller.signal)).body.getReader();
  for (let bytes = 0; bytes < WORD.length * 50;) {
    bytes += (await reader.read()).value.length;
  }
  controller.abort();
  const cost = (await spent()) - before;
  assert.ok(isCut);
  assert.ok(cost > 50 * OUTPUT, `${cost}`);
  assert.ok(cost < 200 * OUTPUT + 500 * INPUT, `${cost}`);
});

test('a stream that breaks off is settled by what was passed on', async () => {
  const before = await spent();
  answer = async response => {
    response.write(WORD.repeat(50));
    await wait(50);
    response.destroy();
  };
  await (await ask()).text().catch(() => undefined);
  const cost = (await spent()) - before;
  assert.ok(cost > 50 * OUTPUT, `${cost}`);
  assert.ok(cost < 60 * OUTPUT + 500 * INPUT, `${cost}`);
});

test('a stream without usage is settled by its frames', async () => {
  const before = await spent();
  answer = response => response.end(frame().repeat(300));
  await (await ask()).text();
  const cost = (await spent()) - before;
  assert.ok(cost > 290 * OUTPUT, `${cost}`);
  assert.ok(cost < 310 * OUTPUT + 500 * INPUT, `${cost}`);
});
