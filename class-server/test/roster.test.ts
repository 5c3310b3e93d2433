/** The students that a class starts with. */

import { env } from 'cloudflare:workers';
import { afterEach, expect, it } from 'vitest';

import { createKey, hashKey } from '../src/keys';
import {
  admin,
  answerNeurons,
  call,
  chat,
  finish,
  me,
  newClass,
  settled,
  upstream,
  type Json
} from './helpers';

afterEach(finish);

const budget = () => env.CLASSES.getByName('class');

async function newRoster(id: string, settings: Json = {}): Promise<Json> {
  const key = createKey();
  const ben = { name: 'Ben', key_hash: await hashKey(key), settings };
  return { id, key, settings: { share: 7 }, students: [ben] };
}

async function seed(roster: Json): Promise<void> {
  await budget().seed(roster as never);
}

it('the students of a roster have keys and settings', async () => {
  await newClass();
  const { key, ...roster } = await newRoster('first', { budget: 42 });
  await seed(roster);
  expect(await me(key as string)).toMatchObject({ name: 'Ben', budget: 42 });
});

it('a roster is added once, so later changes stay', async () => {
  await newClass();
  const { key, ...roster } = await newRoster('first');
  await seed(roster);
  upstream(answerNeurons(5));
  await chat(key as string);
  await settled(key as string);
  await admin('students/Ben', undefined, 'DELETE');
  await seed(roster);
  await seed({ ...roster, id: 'second' });
  expect((await call('/me', { key: key as string })).status).toBe(401);
  expect((await admin('students')).students).toMatchObject([
    { name: 'Ada' },
    { name: 'Ben', revoked: true, spent: 5 }
  ]);
});

it('a new roster adds students, and keeps the keys and settings of others', async () => {
  const ada = await newClass({ share: 11 });
  const { key, ...roster } = await newRoster('first');
  await seed(roster);
  const next = await newRoster('second');
  await seed({
    ...next,
    students: [
      ...(next.students as Json[]),
      { name: 'Cleo', key_hash: await hashKey(createKey()), settings: {} }
    ]
  });
  const { students } = await admin('students');
  expect(students.map(({ name }: Json) => name as string)).toEqual([
    'Ada',
    'Ben',
    'Cleo'
  ]);
  expect(await me(key as string)).toMatchObject({ name: 'Ben', budget: 11 });
  expect((await call('/me', { key: ada })).status).toBe(200);
});

it('a roster without an id adds nothing', async () => {
  await newClass();
  const { key, ...roster } = await newRoster('');
  await seed(roster);
  expect((await call('/me', { key: key as string })).status).toBe(401);
});
