/** Read the body of a request, up to a maximum size. */

import { CODES, RefusedError, badInput } from './errors';

export type JsonObject = Record<string, unknown>;

/** A larger prompt costs more than a student's share, and more CPU than the free plan has. */
const MAX_BYTES = 1024 * 1024;

/** Return the JSON object in the body of a request. */
export async function readJson(request: Request): Promise<JsonObject> {
  const bytes = await readBytes(request);
  let value: unknown;
  try {
    value = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
    );
  } catch {
    throw badInput('The body is not valid JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badInput('The body must be a JSON object.');
  }
  return value as JsonObject;
}

/** Return the body of a request. Refuse it as soon as it is too large. */
export async function readBytes(request: Request): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length') ?? 0) > MAX_BYTES) {
    throw tooLarge();
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  // A chunked body has no length.
  for await (const chunk of request.body ?? []) {
    size += (chunk as Uint8Array).length;
    if (size > MAX_BYTES) {
      throw tooLarge();
    }
    chunks.push(chunk as Uint8Array);
  }
  const bytes = new Uint8Array(size);
  let position = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, position);
    position += chunk.length;
  }
  return bytes;
}

function tooLarge(): RefusedError {
  return new RefusedError({
    status: 413,
    code: CODES.tooLarge,
    message: `The request is larger than ${MAX_BYTES / 1024} KiB. Shorten the prompt, or send smaller files.`
  });
}
