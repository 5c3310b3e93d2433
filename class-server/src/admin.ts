/** The routes of the teacher: keys, shares, the class and its usage. */

import { readJson } from './body';
import { openClass } from './calls';
import type { Env } from './env';
import { badInput, unwrap } from './errors';
import { createKey, hashKey, requireAdmin } from './keys';
import { mergeCatalog } from './prices';
import { utcDay } from './rules';
import { fetchCatalog } from './upstream';

const NAME = /^[^\s/](?:[^/\p{Cc}]{0,62}[^\s/])?$/u;
const DAY = /^\d{4}-\d\d-\d\d$/;

/**
 * Answer an admin request; undefined if there is no such route.
 *
 * The path is that below /admin/, such as ["students", "Ada", "renew"].
 */
export async function runAdmin(
  request: Request,
  env: Env,
  path: string[]
): Promise<Response | undefined> {
  await requireAdmin(request, env.ADMIN_KEY_HASH);
  const [resource, name, action] = path;
  if (resource === 'students') {
    return name === undefined
      ? runStudents(request, env)
      : runStudent(request, env, name, action);
  }
  if (path.length > 1) {
    return undefined;
  }
  const budget = openClass(env);
  switch (`${request.method} ${resource}`) {
    case 'GET class':
      return reply(await budget.settings());
    case 'PATCH class':
      return reply(unwrap(await budget.changeClass(await readJson(request))));
    case 'POST pause':
      return reply(unwrap(await budget.changeClass({ paused: true })));
    case 'POST resume':
      return reply(unwrap(await budget.changeClass({ paused: false })));
    case 'GET usage':
      return runUsage(request, env);
    case 'POST prices':
      return reply({ models: await updatePrices(env) });
    default:
      return undefined;
  }
}

/** Replace the price list with Cloudflare's, and return the number of models. */
export async function updatePrices(env: Env): Promise<number> {
  const prices = mergeCatalog(await fetchCatalog(env));
  await openClass(env).setPrices(prices);
  return Object.keys(prices).length;
}

async function runStudents(
  request: Request,
  env: Env
): Promise<Response | undefined> {
  const budget = openClass(env);
  if (request.method === 'GET') {
    return reply({ students: await budget.listStudents() });
  }
  if (request.method !== 'POST') {
    return undefined;
  }
  const { name, ...changes } = await readJson(request);
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw badInput('name must have 1 to 64 characters, without slashes.');
  }
  const key = createKey();
  const student = unwrap(
    await budget.addStudent(name, await hashKey(key), changes)
  );
  return reply({ ...student, key });
}

async function runStudent(
  request: Request,
  env: Env,
  name: string,
  action: string | undefined
): Promise<Response | undefined> {
  const budget = openClass(env);
  switch (`${request.method} ${action ?? ''}`) {
    case 'PATCH ':
      return reply(
        unwrap(await budget.changeStudent(name, await readJson(request)))
      );
    case 'DELETE ':
      return reply(unwrap(await budget.revokeStudent(name)));
    case 'POST renew': {
      const key = createKey();
      const student = unwrap(
        await budget.renewStudent(name, await hashKey(key))
      );
      return reply({ ...student, key });
    }
    default:
      return undefined;
  }
}

async function runUsage(request: Request, env: Env): Promise<Response> {
  const query = new URL(request.url).searchParams;
  const today = utcDay(Date.now());
  const from = query.get('from') ?? today;
  const to = query.get('to') ?? today;
  if (!DAY.test(from) || !DAY.test(to)) {
    throw badInput('from and to must be days, such as 2026-11-27.');
  }
  return reply({ usage: await openClass(env).usage(from, to) });
}

function reply(body: unknown): Response {
  return Response.json(body, { headers: { 'cache-control': 'no-store' } });
}
