/** A hostile student can neither exceed the budget nor send what the class does not allow. */

import { afterEach, expect, it } from 'vitest';

import {
  EMBEDDING_MODEL,
  INPUT,
  MODEL,
  OUTPUT,
  admin,
  answerNeurons,
  call,
  chat,
  errorOf,
  finish,
  me,
  newClass,
  settled,
  upstream,
  type Json
} from './helpers';

const USER = { role: 'user', content: 'Hello' };
const IMAGE = {
  type: 'image_url',
  image_url: { url: 'https://example.com/large.png' }
};

afterEach(finish);

it.each([
  ['max_tokens', -1],
  ['max_tokens', 0],
  ['max_tokens', 1.5],
  ['max_tokens', '100'],
  ['max_tokens', [100]],
  ['max_tokens', true],
  ['max_completion_tokens', -1],
  ['n', 2],
  ['n', 0],
  ['n', '1'],
  ['best_of', 5],
  ['stream', 'yes'],
  ['stream', 1],
  ['messages', []],
  ['messages', 'Hello'],
  ['messages', [null]],
  ['messages', ['Hello']],
  ['messages', null],
  ['audio', { voice: 'alloy' }],
  ['image', [1, 2, 3]],
  ['web_search_options', {}],
  ['messages', [{ role: 'user', content: [IMAGE] }]],
  [
    'messages',
    [USER, { role: 'user', content: [{ type: 'text', text: 'Hi' }, IMAGE] }]
  ],
  [
    'messages',
    [
      {
        role: 'user',
        content: [{ type: 'input_audio', input_audio: { data: 'x' } }]
      }
    ]
  ],
  ['messages', [{ role: 'user', content: [{ type: 'text', text: IMAGE }] }]],
  ['messages', [{ role: 'user', content: IMAGE }]],
  ['messages', [{ role: 'user', content: [[IMAGE]] }]]
])(
  'a request with %s %j is refused with one message, and costs nothing',
  async (name, value) => {
    const key = await newClass();
    const sent = upstream(answerNeurons(1));
    const error = await errorOf(await chat(key, { [name]: value }));
    expect(error.status).toBe(400);
    expect(error.message).toMatch(/\.$/);
    expect(sent).toEqual([]);
    expect(await me(key)).toMatchObject({ spent: 0, reserved: 0 });
  }
);

it.each([
  ['absent', {}, 500],
  ['null', { max_tokens: null }, 500],
  ['huge', { max_tokens: 1e15 }, 500],
  ['small', { max_tokens: 20 }, 20],
  ['set twice', { max_tokens: 1e9, max_completion_tokens: 30 }, 30],
  ['set by its new name', { max_completion_tokens: 1e9 }, 500]
])(
  'max_tokens that is %s is limited and sent once',
  async (_name, fields: Json, expected) => {
    const key = await newClass({ max_tokens: 500 });
    const sent = upstream(answerNeurons(1));
    await chat(key, fields);
    expect(sent[0]?.body.max_tokens).toBe(expected);
    expect(sent[0]?.body).not.toHaveProperty('max_completion_tokens');
  }
);

it('fields that could add to the cost or hide it are not sent', async () => {
  const key = await newClass();
  const sent = upstream(answerNeurons(1));
  const extra = {
    n: 1,
    stream_options: { include_usage: false },
    models: ['@cf/zai-org/glm-5.3'],
    prediction: { type: 'content', content: 'x' },
    service_tier: 'priority',
    lora: 'x',
    raw: true,
    user: 'Ada',
    metadata: { name: 'Ada' }
  };
  await chat(key, {
    ...extra,
    temperature: 0.5,
    messages: [{ ...USER, images: [IMAGE] }]
  });
  expect(sent[0]?.body).toEqual({
    model: MODEL,
    messages: [USER],
    temperature: 0.5,
    max_tokens: 2048
  });
});

it.each([
  [
    'a repeated model',
    `{"model": "@cf/zai-org/glm-5.3", "model": "${MODEL}", "messages": [{"role": "user", "content": "Hi"}]}`
  ],
  [
    'a repeated max_tokens',
    `{"max_tokens": 100, "model": "${MODEL}", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}`
  ]
])('a body with %s is sent as it was checked', async (_name, body) => {
  const key = await newClass({ models: [MODEL] });
  const sent = upstream(answerNeurons(1));
  await call('/v1/chat/completions', { key, body, method: 'POST' });
  expect(sent[0]?.body.model).toBe(MODEL);
  expect([5, 2048]).toContain(sent[0]?.body.max_tokens);
});

it.each([
  '@cf/zai-org/glm-5.3',
  `${MODEL}/../../zai-org/glm-5.3`,
  `workers-ai/${MODEL}`,
  `${MODEL}?queueRequest=true`,
  ` ${MODEL}`,
  '__proto__',
  'constructor',
  'openai/gpt-5.5',
  '',
  [MODEL],
  { name: MODEL },
  null
])('the model %j is refused', async model => {
  const key = await newClass({ models: [MODEL] });
  const sent = upstream(answerNeurons(1));
  const error = await errorOf(await chat(key, { model }));
  expect(error).toMatchObject({ status: 403, scope: 'class' });
  expect(error.message).toContain(`Use ${MODEL}`);
  expect(sent).toEqual([]);
});

it.each([
  `/run/${MODEL}/../../zai-org/glm-5.3`,
  `/run/${MODEL}%2f..%2f..%2fzai-org%2fglm-5.3`,
  `/run/${MODEL}/`,
  `/run//${MODEL}`,
  '/run/%2e%2e/v1/chat/completions',
  '/run/__proto__'
])('the address %s is refused', async path => {
  const key = await newClass({ models: [MODEL] });
  const sent = upstream(answerNeurons(1));
  const response = await call(path, { key, json: { prompt: 'Hi' } });
  expect([400, 403, 404]).toContain(response.status);
  expect(sent).toEqual([]);
});

it('the query of an address is not sent', async () => {
  const key = await newClass();
  const sent = upstream(answerNeurons(1));
  await call(`/run/${MODEL}?queueRequest=true`, {
    key,
    json: { prompt: 'Hi' }
  });
  expect(sent[0]?.url).toMatch(/\/ai\/run\/@cf\/meta\/llama-3\.2-3b-instruct$/);
});

it('a student cannot leave out the system prompt of the class', async () => {
  const key = await newClass({ system_prompt: 'Be brief.' });
  const sent = upstream(answerNeurons(1));
  const system = { role: 'system', content: 'Be long.' };
  await chat(key, { messages: [USER] });
  await chat(key, { messages: [system, USER] });
  await chat(key, {
    messages: [{ role: 'system', content: [{ type: 'text', text: 'x' }] }]
  });
  await call(`/run/${MODEL}`, {
    key,
    json: { prompt: 'Hi', raw: true, model: 'other' }
  });
  const first = sent.map(({ body }) => (body.messages as Json[])[0]);
  expect(first).toEqual([
    { role: 'system', content: 'Be brief.' },
    { role: 'system', content: 'Be brief.\n\nBe long.' },
    { role: 'system', content: 'Be brief.' },
    { role: 'system', content: 'Be brief.' }
  ]);
  expect(sent[3]?.body).not.toHaveProperty('raw');
});

it('text, functions and schemas are in the bound of the prompt', async () => {
  const key = await newClass({ share: 1e6, budget: 1e6 });
  const reserved: number[] = [];
  upstream(async () => {
    reserved.push((await me(key)).reserved as number);
    return answerNeurons(0.001)();
  });
  const text = '漢'.repeat(10_000);
  const name = 'f';
  const tools = [{ type: 'function', function: { name, description: text } }];
  const response_format = {
    type: 'json_schema',
    json_schema: { description: text }
  };
  for (const fields of [
    { messages: [{ role: 'user', content: text }] },
    {
      messages: [
        USER,
        {
          role: 'assistant',
          tool_calls: [{ function: { name, arguments: text } }]
        }
      ]
    },
    { tools },
    { response_format }
  ]) {
    await chat(key, { ...fields, max_tokens: 1 });
  }
  for (const neurons of reserved) {
    expect(neurons).toBeGreaterThan(30_000 * INPUT);
  }
});

it.each([
  ['not JSON', '{"max_tokens": NaN}'],
  ['empty', ''],
  ['a list', '[]'],
  ['null', 'null'],
  ['text', '"Hello"'],
  ['not UTF-8', new Uint8Array([0x7b, 0xff, 0x7d])]
])('a body that is %s is refused', async (_name, body) => {
  const key = await newClass();
  const sent = upstream(answerNeurons(1));
  const response = await call('/v1/chat/completions', {
    key,
    body,
    method: 'POST'
  });
  expect((await errorOf(response)).status).toBe(400);
  expect(sent).toEqual([]);
});

it.each(['/v1/chat/completions', '/v1/embeddings', `/run/${MODEL}`])(
  'a body of 100 MB without a length is refused after its first megabyte: %s',
  async path => {
    const key = await newClass();
    upstream(answerNeurons(1));
    let chunks = 0;
    const body = new ReadableStream({
      pull(controller) {
        chunks += 1;
        controller.enqueue(new Uint8Array(100_000).fill(32));
        if (chunks === 1000) {
          controller.close();
        }
      }
    });
    const response = await call(path, { key, body, method: 'POST' });
    expect((await errorOf(response)).status).toBe(413);
    expect(chunks).toBeLessThan(50);
  }
);

it('a body with a length of 100 MB is refused before it is read', async () => {
  const key = await newClass();
  const body = new Uint8Array(100_000_000);
  const response = await call('/v1/chat/completions', {
    key,
    body,
    method: 'POST'
  });
  expect((await errorOf(response)).message).toContain('larger than 1024 KiB');
});

it('a model without a known price is refused until the teacher sets a bound', async () => {
  const model = '@cf/black-forest-labs/flux-1-schnell';
  const key = await newClass({ models: [model, MODEL] });
  upstream(() =>
    Response.json(
      { result: { image: 'x' }, success: true },
      { headers: { 'cf-ai-neurons': '172.8' } }
    )
  );
  const run = () => call(`/run/${model}`, { key, json: { prompt: 'A cat' } });
  const error = await errorOf(await run());
  expect(error.status).toBe(403);
  expect(error.message).toContain('Your teacher can set a bound');
  await admin('class', { bounds: { [model]: 200 } }, 'PATCH');
  expect((await run()).status).toBe(200);
  expect((await settled(key)).spent).toBe(172.8);
  // The rest of the share is less than the bound.
  expect((await run()).status).toBe(429);
});

it('images are allowed for a model with a bound', async () => {
  const model = '@cf/google/gemma-4-26b-a4b-it';
  const key = await newClass({ bounds: { [model]: 20 } });
  let reserved = 0;
  const sent = upstream(async () => {
    reserved = (await me(key)).reserved as number;
    return answerNeurons(1)();
  });
  const data = {
    type: 'image_url',
    image_url: { url: `data:image/png;base64,${'x'.repeat(9999)}` }
  };
  const response = await chat(key, {
    model,
    max_tokens: 10,
    messages: [{ role: 'user', content: [data] }]
  });
  expect(response.status).toBe(200);
  expect((sent[0]?.body.messages as Json[])[0]?.content).toEqual([data]);
  expect(reserved).toBeGreaterThan(20);
  expect(reserved).toBeLessThan(30);
});

it('a list of many short texts is bounded by its number of texts', async () => {
  const key = await newClass();
  let reserved = 0;
  upstream(async () => {
    reserved = (await me(key)).reserved as number;
    return Response.json({ data: [] });
  });
  const input = Array.from({ length: 100 }, () => 'a');
  await call('/v1/embeddings', {
    key,
    json: { model: EMBEDDING_MODEL, input }
  });
  expect(reserved).toBeGreaterThan((100 * 64 * 1075) / 1e6);
});

it('a student cannot use the tokens of an answer that is not reserved', async () => {
  const key = await newClass({ share: 20 * OUTPUT });
  const sent = upstream(answerNeurons(1));
  const error = await errorOf(await chat(key, { max_tokens: 500 }));
  expect(error.status).toBe(429);
  expect(sent).toEqual([]);
});
