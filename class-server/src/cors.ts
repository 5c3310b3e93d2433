/** Allow web pages of the configured origins to call the server. */

import type { Env } from './env';
import { SHARE_HEADERS } from './share';
import { PASSED_HEADERS } from './upstream';

/** Seconds for which browsers can remember the answer to a preflight request. */
const MAX_AGE = '86400';

/** Answer a request, with the headers for its origin if that is allowed. */
export async function withCors(
  request: Request,
  env: Env,
  answer: () => Promise<Response>
): Promise<Response> {
  const origin = request.headers.get('origin');
  const allowed = env.ALLOWED_ORIGINS.split(',').map(name => name.trim());
  const isAllowed = origin !== null && allowed.includes(origin);
  const response =
    request.method === 'OPTIONS'
      ? new Response(null, { status: isAllowed ? 204 : 403 })
      : await answer();
  response.headers.append('vary', 'origin');
  if (isAllowed) {
    response.headers.set('access-control-allow-origin', origin);
    response.headers.set(
      'access-control-expose-headers',
      [...PASSED_HEADERS, ...SHARE_HEADERS].join(', ')
    );
    if (request.method === 'OPTIONS') {
      response.headers.set(
        'access-control-allow-methods',
        'GET, POST, PATCH, DELETE'
      );
      response.headers.set(
        'access-control-allow-headers',
        // Clients such as the openai package add headers. The server reads none of them.
        request.headers.get('access-control-request-headers') ??
          'authorization, content-type'
      );
      response.headers.set('access-control-max-age', MAX_AGE);
    }
  }
  return response;
}
