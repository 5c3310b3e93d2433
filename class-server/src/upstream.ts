/** Send requests to Workers AI, with the token of the account. */

import type { Env } from './env';
import { CODES, RefusedError } from './errors';
import type { Call } from './requests';

const PAGE_SIZE = 100;
const MAX_PAGES = 10;
/** Headers of a response that clients read. */
export const PASSED_HEADERS = [
  ...['content-type', 'retry-after', 'cf-ray', 'cf-ai-req-id', 'cf-ai-neurons'],
  'cf-aig-cache-status'
];

/** Send a call. The request ends when the signal aborts. */
export function sendCall(
  env: Env,
  call: Call,
  maxTokens: number,
  signal: AbortSignal
): Promise<Response> {
  return fetch(`${aiAddress(env)}/${call.path}`, {
    method: 'POST',
    headers: { ...accountHeaders(env), 'content-type': call.contentType },
    body: call.body(maxTokens),
    signal
  });
}

/** Return all items of Cloudflare's model search. */
export async function fetchCatalog(env: Env): Promise<unknown[]> {
  const items: unknown[] = [];
  for (let page = 1; page <= MAX_PAGES; page++) {
    const query = `page=${page}&per_page=${PAGE_SIZE}`;
    const response = await fetch(`${aiAddress(env)}/models/search?${query}`, {
      headers: accountHeaders(env)
    });
    const body = response.ok ? await response.json<{ result?: unknown }>() : {};
    if (!Array.isArray(body.result)) {
      throw new RefusedError({
        status: 502,
        code: CODES.serverError,
        message: `Cloudflare did not send its price list (${response.status}). Check the account and its token.`
      });
    }
    items.push(...(body.result as unknown[]));
    if (body.result.length < PAGE_SIZE) {
      break;
    }
  }
  return items;
}

function aiAddress(env: Env): string {
  return `${env.API_BASE}/accounts/${env.CLOUDFLARE_ACCOUNT_ID}/ai`;
}

function accountHeaders(env: Env): Record<string, string> {
  return {
    authorization: `Bearer ${env.CLOUDFLARE_API_TOKEN}`,
    // The end of the answer is read, and decompressing it would take CPU.
    'accept-encoding': 'identity',
    // A gateway stores prompts and answers by default.
    ...(env.GATEWAY
      ? { 'cf-aig-gateway-id': env.GATEWAY, 'cf-aig-collect-log': 'false' }
      : {})
  };
}
