/** Requests and answers are passed on, and settled however they end. */

import { afterEach, expect, it, vi } from 'vitest';

import {
  EMBEDDING_MODEL,
  INPUT,
  MODEL,
  OUTPUT,
  QUESTION,
  admin,
  answerNeurons,
  call,
  chat,
  completion,
  errorOf,
  finish,
  me,
  newClass,
  settled,
  upstream,
  type Json
} from './helpers';

const LAB = 'https://lab.example';
afterEach(finish);

it('the request has the token of the account, and nothing of the student', async () => {
  const key = await newClass();
  const sent = upstream(answerNeurons(1));
  await call('/v1/chat/completions', {
    key,
    json: QUESTION,
    headers: { cookie: 'a=b', 'cf-aig-gateway-id': 'x' }
  });
  const [request] = sent;
  expect(request?.url).toBe(
    'https://api.cloudflare.com/client/v4/accounts/0123456789abcdef0123456789abcdef/ai/v1/chat/completions'
  );
  expect(Object.fromEntries(request?.headers ?? [])).toEqual({
    authorization: 'Bearer account-token',
    'accept-encoding': 'identity',
    'content-type': 'application/json'
  });
});

it('the header of a whole answer has its neurons', async () => {
  const key = await newClass();
  const headers = {
    'cf-ai-neurons': '1.98',
    'cf-ray': 'ray',
    'set-cookie': 'a=b'
  };
  upstream(() => Response.json(completion(undefined), { headers }));
  const response = await chat(key);
  expect((await settled(key)).spent).toBe(1.98);
  expect(response.headers.get('cf-ray')).toBe('ray');
  expect(response.headers.get('set-cookie')).toBeNull();
});

it('an answer from the cache of a gateway costs nothing', async () => {
  const key = await newClass();
  upstream(() =>
    Response.json(completion({ prompt_tokens: 9, neurons: 5 }), {
      headers: { 'cf-aig-cache-status': 'HIT' }
    })
  );
  await chat(key);
  expect((await settled(key)).spent).toBe(0);
});

it('embeddings are passed on', async () => {
  const key = await newClass();
  const sent = upstream(() => Response.json({ object: 'list', data: [] }));
  const json = { model: EMBEDDING_MODEL, input: ['one', 'two'], stream: true };
  expect((await call('/v1/embeddings', { key, json })).status).toBe(200);
  expect(sent[0]?.url).toMatch(/\/ai\/v1\/embeddings$/);
  expect(sent[0]?.body).toEqual({
    model: EMBEDDING_MODEL,
    input: ['one', 'two']
  });
  expect((await settled(key)).spent).toBeLessThan(1);
});

it.each([
  [EMBEDDING_MODEL, { text: ['one'] }, { text: ['one'] }],
  [
    '@cf/baai/bge-reranker-base',
    { query: 'a', contexts: [{ text: 'b' }] },
    { query: 'a', contexts: [{ text: 'b' }] }
  ],
  [
    '@cf/meta/m2m100-1.2b',
    { text: 'Hallo', source_lang: 'de', target_lang: 'en' },
    { text: 'Hallo', source_lang: 'de', target_lang: 'en' }
  ],
  [
    MODEL,
    { prompt: 'Hi', max_tokens: 9 },
    { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 9 }
  ]
])('a native request for %s is passed on', async (model, json, body) => {
  const key = await newClass();
  const sent = upstream(() =>
    Response.json({
      result: { usage: { prompt_tokens: 5, neurons: 0.25 } },
      success: true
    })
  );
  expect((await call(`/run/${model}`, { key, json })).status).toBe(200);
  expect(sent[0]?.url).toMatch(new RegExp(`/ai/run/${model}$`));
  expect(sent[0]?.body).toEqual(body);
  expect((await settled(key)).spent).toBe(0.25);
});

it('a recording is passed on if its model has a bound', async () => {
  const model = '@cf/openai/whisper';
  const key = await newClass({ bounds: { [model]: 50 } });
  upstream((_sent, init) => {
    expect(new Headers(init.headers).get('content-type')).toBe('audio/wav');
    expect(init.body).toEqual(new Uint8Array([1, 2, 3]));
    return Response.json({ result: { text: 'Hi' }, success: true });
  });
  const headers = { 'content-type': 'audio/wav' };
  const body = new Uint8Array([1, 2, 3]);
  const response = await call(`/run/${model}`, {
    key,
    method: 'POST',
    headers,
    body
  });
  expect(response.status).toBe(200);
  expect((await settled(key)).spent).toBe(50);
});

it('the models of a student are listed', async () => {
  const key = await newClass(
    { models: [MODEL, EMBEDDING_MODEL] },
    { models: [MODEL, '@cf/a/b'] }
  );
  const list = await (await call('/v1/models', { key })).json<Json>();
  expect(list).toEqual({
    object: 'list',
    data: [{ id: MODEL, object: 'model', created: 0, owned_by: 'cloudflare' }]
  });
});

it.each([
  ['/v1/chat/completions', 'GET'],
  ['/v1/responses', 'POST'],
  ['/v1', 'GET'],
  ['/', 'GET'],
  ['/run/', 'POST'],
  ['/me', 'POST']
])('another address is not found: %s %s', async (path, method) => {
  const key = await newClass();
  const response = await call(path, { key, method });
  expect([403, 404]).toContain(response.status);
  expect((await errorOf(response)).message).toMatch(/\.$/);
});

it('a model of another kind is refused with the address to use', async () => {
  const key = await newClass();
  const error = await errorOf(await chat(key, { model: EMBEDDING_MODEL }));
  expect(error.message).toBe(
    `${EMBEDDING_MODEL} is a model for Text Embeddings. Send the request to /run/${EMBEDDING_MODEL}.`
  );
});

const failure = (code: number, message: string) => ({
  success: false,
  errors: [{ code, message }],
  result: {}
});

it.each([
  [403, 5035, 403, 5035, 'not available'],
  [413, 5021, 413, 5021, 'not available'],
  [429, 3040, 429, 3040, 'not available'],
  [500, 3043, 500, 3043, 'not available'],
  [401, 10000, 502, 3043, 'Ask your teacher to renew it'],
  [403, 10000, 502, 3043, 'Ask your teacher to renew it']
])(
  'status %i with code %i of Cloudflare is status %i with code %i',
  async (status, code, sentStatus, sentCode, message) => {
    const key = await newClass();
    upstream(() => Response.json(failure(code, 'not available'), { status }));
    const error = await errorOf(await chat(key));
    expect(error).toMatchObject({ status: sentStatus, code: sentCode });
    expect(error.message).toContain(message);
    expect((await settled(key)).spent).toBe(0);
  }
);

it('a call that Cloudflare refuses for its limit per minute is sent again', async () => {
  const key = await newClass();
  let count = 0;
  upstream(() =>
    ++count < 2
      ? Response.json(failure(3021, 'rate limiting'), { status: 429 })
      : answerNeurons(1)()
  );
  expect((await chat(key)).status).toBe(200);
  expect(count).toBe(2);
});

it('a call that Cloudflare refuses for 10 seconds shows that the class waits', async () => {
  const key = await newClass();
  upstream(() => {
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.setSystemTime(Date.now() + 9000);
    return Response.json(failure(3021, 'rate limiting'), { status: 429 });
  });
  const response = await chat(key);
  expect(response.headers.get('retry-after')).toBe('15');
  const error = await errorOf(response);
  expect(error).toMatchObject({ status: 429, code: 3021, scope: 'account' });
  expect(error.message).toContain('Waiting for the class');
});

it.each([
  [true, 0.5],
  [false, 1000 * OUTPUT]
])(
  'if Workers AI is not reached, a stream (%s) costs its prompt, and another answer all',
  async (stream, least) => {
    const key = await newClass();
    upstream(() => Promise.reject(new Error('the prompt was: Hello')));
    const error = await errorOf(await chat(key, { stream, max_tokens: 1000 }));
    expect(error.status).toBe(502);
    expect(error.message).not.toContain('Hello');
    const { spent } = await settled(key);
    expect(spent).toBeGreaterThan(least);
    expect(spent).toBeLessThan(least + 500 * INPUT);
  }
);

it('pages of the configured origins can call the server', async () => {
  const key = await newClass();
  upstream(answerNeurons(1));
  const preflight = await call('/v1/chat/completions', {
    method: 'OPTIONS',
    headers: {
      origin: LAB,
      'access-control-request-headers': 'authorization,x-stainless-lang'
    }
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get('access-control-allow-headers')).toBe(
    'authorization,x-stainless-lang'
  );
  const response = await call('/v1/chat/completions', {
    key,
    json: QUESTION,
    headers: { origin: LAB }
  });
  expect(response.headers.get('access-control-allow-origin')).toBe(LAB);
  expect(
    response.headers.get('access-control-expose-headers')?.split(', ')
  ).toEqual(
    expect.arrayContaining([
      ...['retry-after', 'cf-ai-neurons', 'cf-ai-req-id', 'cf-ray'],
      ...['cfai-budget', 'cfai-spent']
    ])
  );
  const refused = await call('/me', { key: 'none', headers: { origin: LAB } });
  expect(refused.headers.get('access-control-allow-origin')).toBe(LAB);
});

it.each([
  'https://evil.example',
  'https://lab.example.evil.example',
  'null',
  ''
])('pages of the origin %j can not call the server', async origin => {
  const key = await newClass();
  const preflight = await call('/me', {
    method: 'OPTIONS',
    headers: { origin }
  });
  expect(preflight.status).toBe(403);
  const response = await call('/me', { key, headers: { origin } });
  expect(response.headers.get('access-control-allow-origin')).toBeNull();
});

it('the price list of Cloudflare replaces the bundled prices', async () => {
  const key = await newClass();
  const price = (unit: string, dollars: number) => ({
    unit: `per ${unit}`,
    price: dollars
  });
  const list = [price('M input tokens', 11), price('M output tokens', 22)];
  const item = {
    name: MODEL,
    task: { name: 'Text Generation' },
    properties: [{ property_id: 'price', value: list }]
  };
  const sent = upstream(() =>
    Response.json({ success: true, result: [item, null, { name: 5 }] })
  );
  expect((await admin('prices', {}, 'POST')).models).toBeGreaterThan(50);
  expect(sent[0]?.url).toMatch(/\/ai\/models\/search\?page=1&per_page=100$/);
  upstream(() =>
    Response.json(completion({ prompt_tokens: 3, completion_tokens: 4 }))
  );
  await chat(key);
  expect((await settled(key)).spent).toBeCloseTo(3 + 8, 9);
});

it('a price list that does not come changes nothing', async () => {
  const key = await newClass();
  upstream(() => new Response('busy', { status: 503 }));
  expect((await admin('prices', {}, 'POST')).status).toBe(502);
  upstream(() =>
    Response.json(completion({ prompt_tokens: 1000, completion_tokens: 0 }))
  );
  await chat(key);
  expect((await settled(key)).spent).toBeCloseTo(1000 * INPUT, 9);
  expect((await me(key)).name).toBe('Ada');
});
