/** A class with students, and an upstream that answers as Workers AI does. */

import { reset } from 'cloudflare:test';
import { exports } from 'cloudflare:workers';
import { expect, vi } from 'vitest';

export const MODEL = '@cf/meta/llama-3.2-3b-instruct';
export const EMBEDDING_MODEL = '@cf/baai/bge-m3';
/** Neurons per token of MODEL. */
export const INPUT = 4625 / 1e6;
export const OUTPUT = 30475 / 1e6;
export const QUESTION = {
  model: MODEL,
  messages: [{ role: 'user', content: 'Hello' }]
};
const SERVER = 'https://class.example';

export type Json = Record<string, any>;

export interface Options extends RequestInit {
  key?: string;
  json?: unknown;
}

/** Send a request to the server, and read the whole response. */
export async function call(
  path: string,
  options: Options = {}
): Promise<Response> {
  const response = await open(path, options);
  const body = await response.arrayBuffer();
  return new Response(body.byteLength ? body : null, response);
}

/** Send a request to the server. */
export function open(
  path: string,
  { key, json, ...init }: Options = {}
): Promise<Response> {
  const headers = new Headers(init.headers);
  if (key !== undefined) {
    headers.set('authorization', `Bearer ${key}`);
  }
  const body = json === undefined ? init.body : JSON.stringify(json);
  const method = init.method ?? (body === undefined ? 'GET' : 'POST');
  return exports.default.fetch(
    new Request(SERVER + path, { ...init, method, headers, body })
  );
}

export async function admin(
  path: string,
  json?: unknown,
  method?: string
): Promise<Json> {
  const response = await call(`/admin/${path}`, {
    key: 'admin-key',
    json,
    method
  });
  return { status: response.status, ...(await response.json<Json>()) };
}

/** Start with an empty class, and return the key of a new student. */
export async function newClass(
  settings: Json = {},
  student: Json = {}
): Promise<string> {
  await reset();
  expect((await admin('class', settings, 'PATCH')).status).toBe(200);
  return addStudent('Ada', student);
}

export async function addStudent(
  name: string,
  settings: Json = {}
): Promise<string> {
  const added = await admin('students', { name, ...settings });
  expect(added.status).toBe(200);
  return added.key as string;
}

export function chat(key: string, fields: Json = {}): Promise<Response> {
  return call('/v1/chat/completions', {
    key,
    json: { ...QUESTION, ...fields }
  });
}

export async function me(key: string): Promise<Json> {
  return (await call('/me', { key })).json<Json>();
}

/** Wait until all calls of a student are settled, and return the figures. */
export async function settled(key: string): Promise<Json> {
  for (;;) {
    const figures = await me(key);
    if (figures.reserved === 0) {
      return figures;
    }
    await scheduler.wait(20);
  }
}

/** End a test: let its calls settle, so that they do not settle those of the next test. */
export async function finish(): Promise<void> {
  for (;;) {
    const { students } = await admin('students');
    if (students.every((student: Json) => student.reserved === 0)) {
      break;
    }
    await scheduler.wait(20);
  }
  vi.useRealTimers();
  vi.restoreAllMocks();
}

export interface Sent {
  url: string;
  headers: Headers;
  body: Json;
}

/** Replace Workers AI. Return the requests that it receives. */
export function upstream(
  answer: (sent: Sent, init: RequestInit) => Response | Promise<Response>
): Sent[] {
  const requests: Sent[] = [];
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init = {}) => {
    const text = typeof init.body === 'string' ? init.body : '{}';
    const sent = {
      url: input as string,
      headers: new Headers(init.headers),
      body: JSON.parse(text) as Json
    };
    requests.push(sent);
    return answer(sent, init);
  });
  return requests;
}

export function completion(usage: Json | undefined, content = 'Hi'): Json {
  const message = { role: 'assistant', content };
  return {
    id: 'x',
    object: 'chat.completion',
    choices: [{ index: 0, message }],
    usage
  };
}

export function answerNeurons(neurons: number): () => Response {
  const usage = { prompt_tokens: 10, completion_tokens: 5, neurons };
  return () => Response.json(completion(usage));
}

export async function errorOf(response: Response): Promise<Json> {
  const body = await response.json<Json>();
  expect(body.success).toBe(false);
  return { status: response.status, ...body.errors[0] };
}
