/** Keys of students, and the routes of the teacher. */

import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, expect, it, vi } from 'vitest';

import { requireAdmin } from '../src/keys';
import {
  MODEL,
  addStudent,
  admin,
  answerNeurons,
  call,
  chat,
  errorOf,
  finish,
  me,
  newClass,
  settled,
  upstream
} from './helpers';

const STRANGER = `cfs_${'x'.repeat(43)}`;

afterEach(finish);

it('a key has 256 random bits, and only its hash is stored', async () => {
  const key = await newClass();
  expect(key).toMatch(/^cfs_[\w-]{43}$/);
  expect(await addStudent('Bob')).not.toBe(key);
  const stored = await runInDurableObject(
    env.CLASSES.getByName('class'),
    (_object, state) =>
      JSON.stringify(state.storage.sql.exec('SELECT * FROM students').toArray())
  );
  expect(stored).not.toContain(key.slice(4));
  expect(JSON.stringify(await admin('students'))).not.toContain('hash');
});

it.each([
  ['no key', {}],
  ['another class', { key: STRANGER }],
  ['a part of a key', { key: STRANGER.slice(0, 20) }],
  ['the admin key', { key: 'admin-key' }],
  ['another scheme', { headers: { authorization: `Basic ${STRANGER}` } }]
])(
  'a request with %s is refused before its body is read',
  async (_name, options) => {
    await newClass();
    const sent = upstream(answerNeurons(1));
    for (const request of [
      call('/me', options),
      call('/v1/models', options),
      call('/v1/chat/completions', { method: 'POST', body: '{', ...options })
    ]) {
      expect(await errorOf(await request)).toMatchObject({
        status: 401,
        code: 10000
      });
    }
    expect(sent).toEqual([]);
  }
);

it('a key in the address is refused, in any encoding', async () => {
  const key = await newClass();
  for (const query of [
    `?key=${key}`,
    `?api_key=${encodeURIComponent(key).replace('cfs', '%63fs')}`
  ]) {
    const error = await errorOf(await call(`/me${query}`, { key }));
    expect(error.status).toBe(400);
    expect(error.message).toContain('renew this key');
    expect(error.message).not.toContain(key);
  }
});

it('a revoked key is refused, and the usage stays', async () => {
  const key = await newClass();
  upstream(answerNeurons(5));
  await chat(key);
  await settled(key);
  expect(await admin('students/Ada', undefined, 'DELETE')).toMatchObject({
    revoked: true
  });
  expect(await errorOf(await chat(key))).toMatchObject({
    status: 401,
    message: 'Your key was revoked. Ask your teacher for a new one.'
  });
  expect((await admin('usage')).usage).toMatchObject([
    { student: 'Ada', neurons: 5 }
  ]);
});

it('a renewed key replaces the old one, with the same budget', async () => {
  const old = await newClass({}, { budget: 42 });
  const { key } = await admin('students/Ada/renew', {}, 'POST');
  expect(await errorOf(await call('/me', { key: old }))).toMatchObject({
    status: 401
  });
  expect(await me(key as string)).toMatchObject({ name: 'Ada', budget: 42 });
});

it('a key expires', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  vi.setSystemTime('2026-11-26T23:59:59Z');
  const key = await newClass({}, { expires: '2026-11-27T00:00:00Z' });
  upstream(answerNeurons(1));
  expect((await chat(key)).status).toBe(200);
  vi.setSystemTime('2026-11-27T00:00:00Z');
  const error = await errorOf(await chat(key));
  expect(error).toMatchObject({ status: 401, code: 10000 });
  expect(error.message).toBe(
    'Your key expired at 2026-11-27T00:00:00.000Z. Ask your teacher to renew it.'
  );
});

it.each([
  ['07:00', '07:59', '2026-11-26T07:30:00Z', 403],
  ['08:00', '16:00', '2026-11-26T06:59:59Z', 403],
  ['08:00', '16:00', '2026-11-26T07:00:00Z', 200],
  ['08:00', '16:00', '2026-11-26T14:59:59Z', 200],
  ['08:00', '16:00', '2026-11-26T15:00:00Z', 403],
  ['08:00', '16:00', '2026-07-01T06:00:00Z', 200],
  ['22:00', '02:00', '2026-11-26T23:30:00Z', 200],
  ['22:00', '02:00', '2026-11-26T12:00:00Z', 403]
])(
  'a key that works from %s to %s in Berlin answers at %s with %i',
  async (from, to, now, status) => {
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.setSystemTime(now);
    const key = await newClass(
      { time_zone: 'Europe/Berlin' },
      { window: { from, to } }
    );
    upstream(answerNeurons(1));
    const response = await chat(key);
    expect(response.status).toBe(status);
    expect((await call('/me', { key })).status).toBe(200);
    if (status !== 200) {
      expect((await errorOf(response)).message).toContain(
        `from ${from} to ${to} (Europe/Berlin)`
      );
    }
  }
);

it('a class and a student can be paused and resumed', async () => {
  const key = await newClass();
  const other = await addStudent('Bob');
  upstream(answerNeurons(1));
  await admin('pause', {}, 'POST');
  expect(await errorOf(await chat(key))).toMatchObject({
    status: 403,
    scope: 'class'
  });
  await admin('resume', {}, 'POST');
  expect((await chat(key)).status).toBe(200);
  await admin('students/Ada', { paused: true }, 'PATCH');
  expect(await errorOf(await chat(key))).toMatchObject({
    status: 403,
    scope: 'student'
  });
  expect((await chat(other)).status).toBe(200);
});

it('a share applies at once to all students without a budget of their own', async () => {
  const key = await newClass();
  const other = await addStudent('Bob', { budget: 7 });
  await admin('class', { share: 120 }, 'PATCH');
  expect((await me(key)).budget).toBe(120);
  expect((await me(other)).budget).toBe(7);
  await admin('students/Bob', { budget: null }, 'PATCH');
  expect((await me(other)).budget).toBe(120);
});

it('a name with any characters can be changed', async () => {
  await newClass();
  const name = 'Zoë 李 & Söhne?';
  await addStudent(name);
  const path = `students/${encodeURIComponent(name)}`;
  expect(await admin(path, { budget: 3 }, 'PATCH')).toMatchObject({
    name,
    budget: 3
  });
});

it('a student has one key, and a revoked one can be added again', async () => {
  await newClass();
  expect((await admin('students', { name: 'Ada' })).status).toBe(409);
  await admin('students/Ada', undefined, 'DELETE');
  expect((await admin('students', { name: 'Ada' })).status).toBe(200);
});

it('usage is listed by day, student and model', async () => {
  const key = await newClass();
  const model = '@cf/meta/llama-3.2-1b-instruct';
  upstream(answerNeurons(2));
  await chat(key);
  await chat(key);
  await chat(key, { model });
  await settled(key);
  const day = new Date().toISOString().slice(0, 10);
  expect((await admin('usage')).usage).toEqual([
    { day, student: 'Ada', model, calls: 1, neurons: 2, estimated: 0 },
    { day, student: 'Ada', model: MODEL, calls: 2, neurons: 4, estimated: 0 }
  ]);
});

it.each([
  ['class', { budget: -1 }, 'PATCH'],
  ['class', { budget: '5' }, 'PATCH'],
  ['class', { budget: null }, 'PATCH'],
  ['class', { max_tokens: 0 }, 'PATCH'],
  ['class', { max_tokens: 1.5 }, 'PATCH'],
  ['class', { models: ['llama'] }, 'PATCH'],
  ['class', { bounds: { '@cf/a/b': -5 } }, 'PATCH'],
  ['class', { time_zone: 'Berlin' }, 'PATCH'],
  ['class', { system_prompt: 5 }, 'PATCH'],
  ['class', { unknown: 1 }, 'PATCH'],
  ['class', { __proto__: null, toString: 1 }, 'PATCH'],
  ['students/Ada', { expires: 'soon' }, 'PATCH'],
  ['students/Ada', { window: { from: '8:00', to: '16:00' } }, 'PATCH'],
  ['students/Ada', { window: { from: '08:00', to: '08:00' } }, 'PATCH'],
  ['students/Ada', { requests_per_minute: 0 }, 'PATCH'],
  ['students', { name: '' }, 'POST'],
  ['students', { name: 'a/b' }, 'POST'],
  ['students', { name: 'Bob', budget: 'all' }, 'POST'],
  ['usage?from=yesterday', undefined, 'GET']
])('an invalid admin request is refused: %s %j', async (path, json, method) => {
  await newClass();
  const before = [await admin('class'), await admin('students')];
  const error = await admin(path, json, method);
  expect(error).toMatchObject({ status: 400, success: false });
  expect([await admin('class'), await admin('students')]).toEqual(before);
});

it.each([
  ['students/Bob', {}, 'PATCH'],
  ['students/Bob', undefined, 'DELETE'],
  ['students/Bob/renew', {}, 'POST'],
  ['students/Ada/promote', {}, 'POST'],
  ['other', undefined, 'GET'],
  ['class/other', undefined, 'GET'],
  ['class', {}, 'POST']
])(
  'an admin request for nothing that exists is not found: %s',
  async (path, json, method) => {
    await newClass();
    expect((await admin(path, json, method)).status).toBe(404);
  }
);

it.each([undefined, 'admin-kex', 'admin-key-and-more', STRANGER, ''])(
  'admin routes refuse the key %s',
  async key => {
    await newClass();
    for (const path of ['students', 'class', 'usage', 'other']) {
      const error = await errorOf(await call(`/admin/${path}`, { key }));
      expect(error).toMatchObject({ status: 401, code: 10000 });
    }
  }
);

it.each([undefined, '', 'admin-key', 'g'.repeat(64)])(
  'admin routes refuse all keys if the hash of the admin key is %s',
  async hash => {
    const request = new Request('https://class.example', {
      headers: { authorization: 'Bearer admin-key' }
    });
    await expect(requireAdmin(request, hash as string)).rejects.toMatchObject({
      refusal: { status: 401, code: 10000 },
      message: expect.stringContaining('ADMIN_KEY_HASH') as string
    });
  }
);

it("a student's key does not open the admin routes", async () => {
  const key = await newClass();
  expect((await call('/admin/students', { key })).status).toBe(401);
});
