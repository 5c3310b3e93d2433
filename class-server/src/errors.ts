/** Errors in Cloudflare's envelope. Each says whose limit it is, until when, and what to do. */

import { setShareHeaders, type Share } from './share';

/** Whose limit refused a request. */
export type Scope = 'student' | 'class' | 'account';

/** The reason why a request is refused. It is plain data, because it crosses the RPC boundary. */
export interface Refusal {
  status: number;
  code: number;
  message: string;
  scope?: Scope;
  /** ISO time at which the limit ends. */
  until?: string;
  /** Seconds after which a retry can succeed. */
  retryAfter?: number;
  share?: Share;
}

/** Codes that clients of Workers AI know. */
export const CODES = {
  authentication: 10000,
  badInput: 5006,
  tooLarge: 3006,
  unknownModel: 5007,
  noRoute: 7000,
  method: 7001,
  dailyQuota: 4006,
  perMinute: 3021,
  serverError: 3043,
  /** Cloudflare has no code for the rules of a class. */
  classRule: 4030
} as const;

/** A refusal that ends the handling of a request. */
export class RefusedError extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.message);
  }
}

export function badInput(message: string): RefusedError {
  return new RefusedError({ status: 400, code: CODES.badInput, message });
}

/** The result of a method of the class, or why it is refused. */
export type Result<T> = T | { refusal: Refusal };

/** Errors lose their class on their way to the Worker, so a refusal is returned. */
export function attempt<T>(run: () => T): Result<T> {
  try {
    return run();
  } catch (error) {
    if (error instanceof RefusedError) {
      return { refusal: error.refusal };
    }
    throw error;
  }
}

/** Return the result of a method of the class, or throw its refusal. */
export function unwrap<T extends object>(
  value: T
): Exclude<T, { refusal: Refusal }> {
  if ('refusal' in value) {
    throw new RefusedError(value.refusal as Refusal);
  }
  return value as Exclude<T, { refusal: Refusal }>;
}

export function errorResponse(refusal: Refusal): Response {
  const { status, code, message, scope, until, retryAfter, share } = refusal;
  const headers = new Headers({ 'cache-control': 'no-store' });
  if (retryAfter !== undefined) {
    headers.set('retry-after', String(Math.max(1, Math.ceil(retryAfter))));
  }
  if (share) {
    setShareHeaders(headers, share);
  }
  return Response.json(
    {
      success: false,
      errors: [{ code, message, scope, until }],
      // SDKs of OpenAI show the message of this field only.
      error: { code, message },
      messages: [],
      result: null
    },
    { status, headers }
  );
}
