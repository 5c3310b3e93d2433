/** Budgets are never exceeded, at any concurrency, and start again at 00:00 UTC. */

import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { RESERVATION_MS } from '../src/class';
import {
  INPUT,
  MODEL,
  OUTPUT,
  addStudent,
  admin,
  answerNeurons,
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

// In the future, so that no alarm runs by itself.
const NOON = Date.parse('2036-11-26T12:00:00Z');

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
  vi.setSystemTime(NOON);
});

afterEach(finish);

it('a call is settled as billed', async () => {
  const key = await newClass();
  upstream(answerNeurons(7.5));
  expect((await chat(key)).status).toBe(200);
  expect(await settled(key)).toEqual({
    name: 'Ada',
    spent: 7.5,
    reserved: 0,
    budget: 300,
    reset: '2036-11-27T00:00:00Z'
  });
});

it('answers have the budget and what was spent before the call', async () => {
  const key = await newClass({}, { budget: 20 });
  const shares: unknown[] = [];
  const share = ({ headers }: Response) =>
    ['cfai-budget', 'cfai-spent'].map(name => headers.get(name));
  upstream(answerNeurons(1e-7));
  shares.push(share(await chat(key, { max_tokens: 20 })));
  upstream(answerNeurons(19.5));
  shares.push(share(await chat(key, { max_tokens: 20 })));
  shares.push(share(await chat(key, { max_tokens: 20 })));
  expect(shares).toEqual([
    ['20', '0'],
    ['20', '0'],
    ['20', '19.5']
  ]);
});

it('the neurons that running calls reserve count as spent in later answers', async () => {
  const key = await newClass();
  let reserved = 0;
  let spent = '';
  upstream(async ({ body }) => {
    if (body.max_tokens === 1000) {
      reserved = (await me(key)).reserved;
      const later = await chat(key, { max_tokens: 20 });
      spent = later.headers.get('cfai-spent') ?? '';
    }
    return answerNeurons(1)();
  });
  await chat(key, { max_tokens: 1000 });
  expect(Number(spent)).toBeGreaterThan(30);
  expect(Number(spent)).toBeCloseTo(reserved, 5);
});

it('a call reserves its prompt and all of max_tokens while it runs', async () => {
  const key = await newClass();
  let reserved = 0;
  upstream(async () => {
    reserved = (await me(key)).reserved;
    return answerNeurons(1)();
  });
  await chat(key, { max_tokens: 1000 });
  expect(reserved).toBeGreaterThan(1000 * OUTPUT + 2 * 64 * INPUT);
  expect(reserved).toBeLessThan(1000 * OUTPUT + 1000 * INPUT);
});

it('an answer without neurons costs its tokens at the price list', async () => {
  const key = await newClass();
  upstream(() =>
    Response.json(completion({ prompt_tokens: 100, completion_tokens: 200 }))
  );
  await chat(key);
  expect((await settled(key)).spent).toBeCloseTo(100 * INPUT + 200 * OUTPUT, 9);
  const { usage } = await admin('usage');
  expect(usage[0].estimated).toBeCloseTo(usage[0].neurons, 9);
});

it('an answer without usage counts in full', async () => {
  const key = await newClass();
  upstream(() => Response.json(completion(undefined)));
  await chat(key, { max_tokens: 1000 });
  expect((await settled(key)).spent).toBeGreaterThan(1000 * OUTPUT);
});

it('an estimate is never above the reservation, but a bill is booked as billed', async () => {
  const key = await newClass({ share: 1000 });
  upstream(() =>
    Response.json(completion({ prompt_tokens: 1e6, completion_tokens: 1e6 }))
  );
  await chat(key, { max_tokens: 100 });
  expect((await settled(key)).spent).toBeLessThan(200 * OUTPUT);
  upstream(answerNeurons(500));
  await chat(key, { max_tokens: 100 });
  expect((await settled(key)).spent).toBeGreaterThan(500);
});

it('an answer is shortened to what is left, and a call that does not fit is not sent', async () => {
  const key = await newClass({ share: 10 });
  const sent = upstream(answerNeurons(9));
  await chat(key);
  const granted = sent[0]?.body.max_tokens as number;
  expect(granted * OUTPUT).toBeLessThanOrEqual(10);
  expect(granted * OUTPUT).toBeGreaterThan(8);
  await settled(key);
  const error = await errorOf(await chat(key));
  expect(error).toMatchObject({
    status: 429,
    scope: 'student',
    until: '2036-11-27T00:00:00Z'
  });
  expect(error.message).toMatch(
    /Your share is 10 neurons a day.* 1 are left until 00:00 UTC/
  );
  expect(sent.length).toBe(1);
});

it.each([
  ['student', { share: 5 }, /Your share is 5 .*used up until 00:00 UTC/],
  [
    'class',
    { budget: 5 },
    /The budget of the class is 5 .*used up until 00:00 UTC/
  ]
])(
  'a used up budget of the %s says so with the code of the daily quota',
  async (scope, settings, message) => {
    const key = await newClass(settings);
    upstream(answerNeurons(4.9));
    await chat(key);
    await settled(key);
    const error = await errorOf(await chat(key));
    expect(error).toMatchObject({ status: 429, code: 4006, scope });
    expect(error.message).toMatch(message);
  }
);

it('a budget that running calls reserve is refused for a few seconds only', async () => {
  const key = await newClass({ share: 10 });
  let error: Json = {};
  upstream(async () => {
    const second = await chat(key);
    error = {
      ...(await errorOf(second)),
      retryAfter: second.headers.get('retry-after')
    };
    return answerNeurons(1)();
  });
  await chat(key);
  expect(error).toMatchObject({
    status: 429,
    code: 3021,
    scope: 'student',
    retryAfter: '5'
  });
  expect(error.message).toContain('Waiting for the class');
});

it('200 calls at once exceed no budget', async () => {
  const keys = [await newClass({ budget: 400, share: 50 })];
  for (let count = 1; count < 10; count++) {
    keys.push(await addStudent(`Student ${count}`));
  }
  let running = 0;
  upstream(async sent => {
    running += (sent.body.max_tokens as number) * OUTPUT;
    // Each answer costs all that it reserved for its tokens.
    const neurons = (sent.body.max_tokens as number) * OUTPUT;
    await scheduler.wait(Math.random() * 20);
    return Response.json(
      completion({ prompt_tokens: 1, completion_tokens: 1, neurons })
    );
  });
  const calls = Array.from({ length: 200 }, (_, at) =>
    chat(keys[at % keys.length] as string, { max_tokens: 200 })
  );
  const statuses = (await Promise.all(calls)).map(response => response.status);
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
  const spent = await Promise.all(
    keys.map(async key => (await settled(key)).spent as number)
  );
  expect(Math.max(...spent)).toBeLessThanOrEqual(50);
  const total = spent.reduce((sum, neurons) => sum + neurons, 0);
  expect(total).toBeLessThanOrEqual(400);
  expect(total).toBeCloseTo(running, 6);
  expect(total).toBeGreaterThan(300);
});

it('budgets start again at 00:00 UTC, and a call counts for the day it started', async () => {
  const key = await newClass({ share: 10 });
  vi.setSystemTime('2036-11-26T23:59:50Z');
  upstream(() => {
    vi.setSystemTime('2036-11-27T00:00:01Z');
    return answerNeurons(9.9)();
  });
  await chat(key);
  expect(await settled(key)).toMatchObject({
    spent: 0,
    reset: '2036-11-28T00:00:00Z'
  });
  expect((await chat(key)).status).toBe(200);
  await settled(key);
  expect((await chat(key)).status).toBe(429);
  const { usage } = await admin('usage?from=2036-11-26&to=2036-11-27');
  expect(usage.map((row: { day: string }) => row.day)).toEqual([
    '2036-11-26',
    '2036-11-27'
  ]);
});

it('a reservation that is not settled after 10 minutes counts in full', async () => {
  const key = await newClass();
  const budget = env.CLASSES.getByName('class');
  let isReleased = false;
  const sent = upstream(async () => {
    while (!isReleased) {
      await scheduler.wait(5);
    }
    return answerNeurons(1)();
  });
  const answer = chat(key);
  await vi.waitFor(() => expect(sent.length).toBe(1), { timeout: 10_000 });
  const { reserved } = await me(key);
  vi.setSystemTime(NOON + RESERVATION_MS - 60_000);
  expect(await runDurableObjectAlarm(budget)).toBe(true);
  expect((await me(key)).spent).toBe(0);
  vi.setSystemTime(NOON + RESERVATION_MS + 60_000);
  expect(await runDurableObjectAlarm(budget)).toBe(true);
  expect(await me(key)).toMatchObject({ spent: reserved, reserved: 0 });
  // The answer that comes later does not count again.
  isReleased = true;
  await answer;
  await scheduler.wait(400);
  expect(await me(key)).toMatchObject({ spent: reserved, reserved: 0 });
});

it('budgets survive the eviction of the object', async () => {
  const key = await newClass({ budget: 100 });
  upstream(answerNeurons(7.5));
  await chat(key);
  await settled(key);
  await evictDurableObject(env.CLASSES.getByName('class'));
  expect((await settled(key)).spent).toBe(7.5);
  expect((await admin('class')).budget).toBe(100);
});

it.each([4006, 3036])(
  'code %i of Cloudflare closes the day for the class',
  async code => {
    const key = await newClass();
    const other = await addStudent('Bob');
    const sent = upstream(() =>
      Response.json(
        {
          success: false,
          errors: [{ code, message: 'AiError: used up' }],
          result: {}
        },
        { status: 429 }
      )
    );
    const closed = {
      status: 429,
      code: 4006,
      scope: 'account',
      until: '2036-11-27T00:00:00Z'
    };
    expect(await errorOf(await chat(key))).toMatchObject(closed);
    expect(await errorOf(await chat(other))).toMatchObject(closed);
    expect(sent.length).toBe(1);
    expect((await settled(key)).spent).toBe(0);
    vi.setSystemTime('2036-11-27T00:00:01Z');
    upstream(answerNeurons(1));
    expect((await chat(other)).status).toBe(200);
  }
);

it('a student with a limit per minute waits, and is refused if that takes too long', async () => {
  const key = await newClass({}, { requests_per_minute: 2 });
  const other = await addStudent('Bob');
  upstream(answerNeurons(1));
  expect((await chat(key)).status).toBe(200);
  expect((await chat(key)).status).toBe(200);
  const response = await chat(key);
  expect(response.headers.get('retry-after')).toBe('60');
  expect(await errorOf(response)).toMatchObject({
    status: 429,
    code: 3021,
    scope: 'student'
  });
  expect((await chat(other)).status).toBe(200);
  vi.setSystemTime(NOON + 60_000);
  expect((await chat(key)).status).toBe(200);
});

it('a call waits for its turn if that comes soon', async () => {
  const key = await newClass({}, { requests_per_minute: 1 });
  upstream(answerNeurons(1));
  await chat(key);
  vi.setSystemTime(NOON + 59_900);
  const waiting = chat(key);
  await scheduler.wait(50);
  vi.setSystemTime(NOON + 60_000);
  expect((await waiting).status).toBe(200);
});

it('the limit per minute of the account holds for all students together', async () => {
  const model = '@cf/zai-org/glm-5.3-flash';
  const keys = [
    await newClass({ share: 10_000, max_tokens: 100 }),
    await addStudent('Bob')
  ];
  const sent = upstream(answerNeurons(1));
  for (let count = 0; count < 20; count++) {
    expect((await chat(keys[count % 2] as string, { model })).status).toBe(200);
  }
  const error = await errorOf(await chat(keys[0] as string, { model }));
  expect(error).toMatchObject({ status: 429, code: 3021, scope: 'account' });
  expect(error.message).toContain('Waiting for the class');
  expect((await chat(keys[0] as string, { model: MODEL })).status).toBe(200);
  expect(sent.length).toBe(21);
});
