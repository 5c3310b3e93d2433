/**
 * Print the CPU time of workerd per streamed answer, next to that of a plain proxy
 * (`node benchmark.mjs`, on Linux). The difference is what the class server adds.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';

import { startServer, startWorker } from './local.mjs';

const ANSWERS = 30;
const FRAMES = Number(process.argv[2] ?? 2000);
const MODEL = '@cf/meta/llama-3.2-3b-instruct';
const PROXY = `export default {
  fetch: (request, env) => fetch(env.API_BASE, { method: 'POST', body: request.body })
};`;
const usage = (prompt, completion, neurons) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  neurons
});
const frame = JSON.stringify({
  id: 'id-1786911857176',
  object: 'chat.completion.chunk',
  created: 1786911857,
  model: MODEL,
  choices: [{ index: 0, delta: { content: ' word' }, finish_reason: null }],
  p: 'abdefgh',
  usage: usage(0, 1, 0.03)
});
const last = JSON.stringify({ response: '', usage: usage(10, FRAMES, 60) });

const upstream = http.createServer(async (request, response) => {
  request.resume();
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let count = 0; count < FRAMES; count++) {
    response.write(`data: ${frame}\n\n`);
    await new Promise(setImmediate);
  }
  response.end(`data: ${last}\n\ndata: [DONE]\n\n`);
});
await new Promise(resolve => upstream.listen(0, '127.0.0.1', resolve));

const apiBase = `http://127.0.0.1:${upstream.address().port}`;

/** Return the CPU time of all workerd processes of this benchmark, in milliseconds. */
function workerdTime() {
  const pids = execFileSync('pgrep', ['-P', String(process.pid), 'workerd'], {
    encoding: 'utf8'
  });
  return pids
    .trim()
    .split('\n')
    .map(pid =>
      readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    )
    .reduce(
      (sum, fields) => sum + (Number(fields[11]) + Number(fields[12])) * 10,
      0
    );
}

async function measure(name, url, key) {
  const ask = async () => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({
        model: MODEL,
        stream: true,
        messages: [{ role: 'user', content: 'Hello' }]
      })
    });
    const text = await response.text();
    if (response.status !== 200 || !text.includes('[DONE]')) {
      throw new Error(`${response.status} ${text.slice(0, 300)}`);
    }
  };
  await ask();
  const before = workerdTime();
  for (let count = 0; count < ANSWERS; count++) {
    await ask();
  }
  await new Promise(resolve => setTimeout(resolve, 1000));
  const time = (workerdTime() - before) / ANSWERS;
  console.log(`${name}: ${time.toFixed(1)} ms per answer of ${FRAMES} frames`);
  return time;
}

const proxy = await startWorker(PROXY, apiBase);
const baseline = await measure('plain proxy', proxy.url, 'none');
await proxy.server.dispose();
const { server, url, key } = await startServer(apiBase);
const served = await measure('class server', `${url}v1/chat/completions`, key);
console.log(`difference: ${(served - baseline).toFixed(1)} ms`);
await server.dispose();
upstream.close();
