/** Create, hash and compare the keys of students and of the teacher. */

import { CODES, RefusedError } from './errors';

const STUDENT_PREFIX = 'cfs_';
const KEY_BYTES = 32;
const STUDENT_KEY = /^cfs_[\w-]{43}$/;
const SHA256_HEX = /^[\da-f]{64}$/i;
const encoder = new TextEncoder();

/** Return a new random key. Only its hash is stored. */
export function createKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  const text = btoa(String.fromCharCode(...bytes));
  return (
    STUDENT_PREFIX +
    text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
  );
}

/** Return the SHA-256 of a key as hex. A key is random, so it needs no salt. */
export async function hashKey(key: string): Promise<string> {
  const bytes = new Uint8Array(await digest(key));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
}

/** Return the hash of the student key in the headers of a request. */
export async function hashStudentKey(request: Request): Promise<string> {
  const key = bearerToken(request);
  if (!STUDENT_KEY.test(key)) {
    throw unauthenticated(
      `The key of the class server is missing or incomplete. Send the whole key, ${STUDENT_PREFIX}…, as a bearer token.`
    );
  }
  return hashKey(key);
}

/** Refuse a request that does not have the admin key with this SHA-256. */
export async function requireAdmin(
  request: Request,
  adminKeyHash: string
): Promise<void> {
  if (!SHA256_HEX.test(adminKeyHash)) {
    throw unauthenticated(
      'The class server has no admin key. Set ADMIN_KEY_HASH in wrangler.jsonc to its SHA-256, and deploy again.'
    );
  }
  const sent = await digest(bearerToken(request));
  // Digests have the same length, so the comparison takes the same time for each key.
  if (!crypto.subtle.timingSafeEqual(sent, fromHex(adminKeyHash))) {
    throw unauthenticated(
      'The admin key is not valid. Send it as a bearer token.'
    );
  }
}

function unauthenticated(message: string): RefusedError {
  return new RefusedError({
    status: 401,
    code: CODES.authentication,
    message
  });
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], byte => parseInt(byte, 16));
}

function bearerToken(request: Request): string {
  const header = request.headers.get('authorization') ?? '';
  return /^Bearer +(\S+)$/i.exec(header)?.[1] ?? '';
}

function digest(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest('SHA-256', encoder.encode(text));
}
