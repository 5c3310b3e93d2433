/** Read the messages of a request, and find media in them. */

import type { JsonObject } from './body';
import { badInput } from './errors';

const MESSAGE_FIELDS = [
  'role content name tool_calls tool_call_id reasoning reasoning_content'
].flatMap(names => names.split(' '));
/** Fields that add to the cost of a call. */
export const MEDIA_FIELDS = [
  'image',
  'images',
  'image_b64',
  'mask',
  'audio',
  'web_search_options'
];

/** Return the messages of a request, after the system prompt of the class. */
export function readMessages(
  body: JsonObject,
  systemPrompt: string
): JsonObject[] {
  const prompt = body['prompt'];
  const given =
    typeof prompt === 'string' && body['messages'] === undefined
      ? [{ role: 'user', content: prompt }]
      : body['messages'];
  if (!Array.isArray(given) || given.length === 0) {
    throw badInput('messages must be a list with at least one message.');
  }
  const messages = given.map((message: unknown) => {
    if (
      typeof message !== 'object' ||
      message === null ||
      Array.isArray(message)
    ) {
      throw badInput('Each message must be an object with role and content.');
    }
    return pick(message as JsonObject, MESSAGE_FIELDS);
  });
  if (!systemPrompt) {
    return messages;
  }
  const [first, ...others] = messages as [JsonObject, ...JsonObject[]];
  // The templates of some models allow one system message only.
  return first['role'] === 'system' && typeof first['content'] === 'string'
    ? [
        { ...first, content: `${systemPrompt}\n\n${first['content']}` },
        ...others
      ]
    : [{ role: 'system', content: systemPrompt }, ...messages];
}

/** Return the name of the media in a request; "" if it only has text. */
export function findMedia(body: JsonObject): string {
  const field = MEDIA_FIELDS.find(
    name => body[name] !== undefined && body[name] !== null
  );
  if (field) {
    return field;
  }
  const messages = Array.isArray(body['messages'])
    ? (body['messages'] as unknown[])
    : [];
  for (const message of messages) {
    const content = (message as JsonObject | null)?.['content'];
    const parts = Array.isArray(content)
      ? (content as unknown[])
      : content
        ? [content]
        : [];
    const part = parts.find(value => !isText(value)) as JsonObject | undefined;
    if (part) {
      return typeof part['type'] === 'string'
        ? part['type'].slice(0, 40)
        : 'this content';
    }
  }
  return '';
}

function isText(part: unknown): boolean {
  const { type, text } = (
    typeof part === 'object' && part !== null ? part : {}
  ) as JsonObject;
  return (
    typeof part === 'string' || (type === 'text' && typeof text === 'string')
  );
}

/** Return a message with its text only. */
export function withoutMedia(message: JsonObject): JsonObject {
  const content = message['content'];
  return Array.isArray(content)
    ? { ...message, content: (content as unknown[]).filter(isText) }
    : message;
}

/** Return the fields of a body that have these names and a value. */
export function pick(body: JsonObject, names: string[]): JsonObject {
  const present = names.filter(
    name => Object.hasOwn(body, name) && body[name] !== null
  );
  return Object.fromEntries(present.map(name => [name, body[name]]));
}
