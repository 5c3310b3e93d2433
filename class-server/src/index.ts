/** The class server: one Workers AI account for a class, with a key and a budget per student. */

import { runAdmin, updatePrices } from './admin';
import { openClass, runCall } from './calls';
import { withCors } from './cors';
import type { Env } from './env';
import { CODES, RefusedError, badInput, errorResponse, unwrap } from './errors';
import { hashStudentKey } from './keys';
import { planChat, planEmbeddings, planRun } from './requests';
import type { Policy } from './rules';

export { ClassBudget } from './class';

export default {
  async fetch(request, env, ctx): Promise<Response> {
    return withCors(request, env, async () => {
      try {
        return await route(request, env, ctx);
      } catch (error) {
        if (error instanceof RefusedError) {
          return errorResponse(error.refusal);
        }
        // The message of an unexpected error could contain text of the request.
        return errorResponse({
          status: 500,
          code: CODES.serverError,
          message: 'The class server failed. Try again later.'
        });
      }
    });
  },

  async scheduled(_event, env): Promise<void> {
    await updatePrices(env);
  }
} satisfies ExportedHandler<Env>;

async function route(
  request: Request,
  env: Env,
  ctx: ExecutionContext
): Promise<Response> {
  const url = new URL(request.url);
  if (/\bcfsa?_[\w-]{20,}/.test(decodePath(url.search))) {
    throw badInput(
      'Send the key in the Authorization header. Addresses are logged, so ask your teacher to renew this key.'
    );
  }
  const [first = '', ...rest] = decodePath(url.pathname).slice(1).split('/');
  if (first === 'admin') {
    const response = await runAdmin(request, env, rest);
    if (response) {
      return response;
    }
  }
  const run = (plan: (policy: Policy) => ReturnType<typeof planChat>) =>
    runCall(request, env, ctx, plan);
  if (request.method === 'POST' && first === 'run' && rest.length > 0) {
    return run(policy => planRun(request, policy, rest.join('/')));
  }
  switch (`${request.method} ${url.pathname}`) {
    case 'POST /v1/chat/completions':
      return run(policy => planChat(request, policy));
    case 'POST /v1/embeddings':
      return run(policy => planEmbeddings(request, policy));
    case 'GET /v1/models':
      return listModels(request, env);
    case 'GET /me':
      return Response.json(
        unwrap(await openClass(env).status(await hashStudentKey(request))),
        { headers: { 'cache-control': 'no-store' } }
      );
    default:
      throw new RefusedError({
        status: 404,
        code: CODES.noRoute,
        message:
          'The class server does not have this address. Set the base URL to …/v1.'
      });
  }
}

/** Return the models of a student, in the format of OpenAI. */
async function listModels(request: Request, env: Env): Promise<Response> {
  const { policy } = unwrap(
    await openClass(env).authenticate(await hashStudentKey(request))
  );
  const data = Object.keys(policy.models).map(id => ({
    id,
    object: 'model',
    created: 0,
    owned_by: 'cloudflare'
  }));
  return Response.json({ object: 'list', data });
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw badInput(
      'The address has a percent sign that is not part of an encoded character.'
    );
  }
}
