/** Run a call: reserve, send, pass the answer through, and settle. */

import type { ClassBudget } from './class';
import type { Env } from './env';
import { CODES, RefusedError, unwrap, type Refusal } from './errors';
import { hashStudentKey } from './keys';
import type { Grant } from './ledger';
import type { Call } from './requests';
import type { Policy } from './rules';
import { setShareHeaders } from './share';
import { TAIL_BYTES, passOn } from './ending';
import { PASSED_HEADERS, sendCall } from './upstream';
import {
  estimateStreamTokens,
  parseBodyUsage,
  parseFigure,
  parseStreamUsage,
  type Ending
} from './usage';

/** How long a call waits for its turn. */
const MAX_WAIT_MS = 10_000;
/** Pause before a request that Cloudflare refused for its limit per minute is sent again. */
const RETRY_MS = 2_000;
const DAILY_QUOTA_CODES: number[] = [CODES.dailyQuota, 3036];

type Plan = (policy: Policy) => Promise<Call>;
type Stub = DurableObjectStub<ClassBudget>;

/** The neurons of a call, as far as they are known. Null is the whole reservation. */
interface Bill {
  neurons: number | null;
  isEstimated: boolean;
}

/** Return the class of this server. */
export function openClass(env: Env): Stub {
  return env.CLASSES.getByName(env.CLASS_NAME);
}

/** Answer the request of a student. */
export async function runCall(
  request: Request,
  env: Env,
  ctx: ExecutionContext,
  plan: Plan
): Promise<Response> {
  const budget = openClass(env);
  const keyHash = await hashStudentKey(request);
  const { policy } = unwrap(await budget.authenticate(keyHash));
  const call = await plan(policy);
  const deadline = Date.now() + MAX_WAIT_MS;
  const grant = await reserve(budget, keyHash, call, deadline);
  const answer = runGranted(request, env, ctx, call, grant, deadline);
  // If the client disconnects, the call is settled all the same.
  ctx.waitUntil(answer.catch(() => undefined));
  const response = await answer;
  setShareHeaders(response.headers, grant.share);
  return response;
}

async function runGranted(
  request: Request,
  env: Env,
  ctx: ExecutionContext,
  call: Call,
  grant: Grant,
  deadline: number
): Promise<Response> {
  const budget = openClass(env);
  const aborter = new AbortController();
  // Until the answer starts, only the signal of the request shows a disconnect.
  request.signal.addEventListener('abort', () => aborter.abort());
  const settle = (bill: Bill) =>
    budget.settle(grant.id, bill.neurons, bill.isEstimated);
  let response: Response;
  let whole: Uint8Array | null = null;
  try {
    response = await send(env, call, grant, aborter.signal, deadline);
    if (response.ok && !isEventStream(response)) {
      whole = new Uint8Array(await response.arrayBuffer());
    }
  } catch {
    // The model may have read the prompt, and written an answer that is sent as a whole.
    const neurons = call.isStream ? call.cost.fixed : null;
    await settle({ neurons, isEstimated: true });
    throw new RefusedError({
      status: 502,
      code: CODES.serverError,
      message: 'The class server did not reach Workers AI. Try again later.'
    });
  }
  if (!response.ok) {
    await settle({ neurons: headerNeurons(response) ?? 0, isEstimated: false });
    return passError(response, budget);
  }
  if (whole) {
    const ending = { tail: whole.slice(-TAIL_BYTES), bytes: whole.length };
    await settle(findBill(response, ending, true, call));
    return copyResponse(response, whole);
  }
  const answer = response.body as ReadableStream<Uint8Array>;
  const { stream, ended } = passOn(answer, () => aborter.abort());
  ctx.waitUntil(
    ended.then(({ ending, isComplete }) =>
      settle(findBill(response, ending, isComplete, call))
    )
  );
  return copyResponse(response, stream);
}

function isEventStream(response: Response): boolean {
  const type = response.headers.get('content-type') ?? '';
  return type.startsWith('text/event-stream');
}

/** Reserve the cost of a call. Wait while a limit per minute is reached. */
async function reserve(
  budget: Stub,
  keyHash: string,
  call: Call,
  deadline: number
): Promise<Grant> {
  const { model, rule, cost } = call;
  const request = {
    keyHash,
    model,
    rule: { perMinute: rule.perMinute, perMinuteOf: rule.perMinuteOf },
    cost
  };
  for (;;) {
    const result = await budget.reserve(request);
    if (!('delay' in result) || Date.now() + result.delay > deadline) {
      return unwrap(result).grant;
    }
    await scheduler.wait(result.delay);
  }
}

/** Send a call, again if Cloudflare's limit per minute is reached, until the deadline. */
async function send(
  env: Env,
  call: Call,
  grant: Grant,
  signal: AbortSignal,
  deadline: number
): Promise<Response> {
  for (;;) {
    const response = await sendCall(env, call, grant.maxTokens, signal);
    if (response.status !== 429 || Date.now() + RETRY_MS > deadline) {
      return response;
    }
    const code = findErrorCode(await response.clone().text());
    if (code !== CODES.perMinute) {
      return response;
    }
    await response.body?.cancel();
    await scheduler.wait(RETRY_MS);
  }
}

/** Return the neurons of an answer: billed, from its tokens, or from what was passed on. */
function findBill(
  response: Response,
  ending: Ending,
  isComplete: boolean,
  call: Call
): Bill {
  if (response.headers.get('cf-aig-cache-status') === 'HIT') {
    return { neurons: 0, isEstimated: false };
  }
  const isStream = isEventStream(response);
  const billed = headerNeurons(response);
  if (billed !== null && !isStream) {
    return { neurons: billed, isEstimated: false };
  }
  const usage = isStream ? parseStreamUsage(ending) : parseBodyUsage(ending);
  if (usage?.neurons && isComplete) {
    return { neurons: usage.neurons, isEstimated: false };
  }
  const { price } = call.rule;
  if (price && usage && isComplete) {
    const neurons =
      usage.promptTokens * price.input + usage.completionTokens * price.output;
    return { neurons, isEstimated: true };
  }
  if (price && isStream) {
    const neurons =
      call.cost.fixed + estimateStreamTokens(ending) * price.output;
    return { neurons, isEstimated: true };
  }
  return { neurons: null, isEstimated: true };
}

function headerNeurons(response: Response): number | null {
  const header = response.headers.get('cf-ai-neurons');
  return header === null ? null : parseFigure(Number(header));
}

/** Return an error of Cloudflare to the student, in words that fit a class. */
async function passError(response: Response, budget: Stub): Promise<Response> {
  const text = await response.text();
  const code = findErrorCode(text);
  if (code !== null && DAILY_QUOTA_CODES.includes(code)) {
    throw new RefusedError(await budget.closeDay());
  }
  const refusal = translate(response.status, code);
  if (refusal) {
    throw new RefusedError(refusal);
  }
  return copyResponse(response, text);
}

function translate(status: number, code: number | null): Refusal | null {
  if (code === CODES.perMinute) {
    return {
      status: 429,
      code,
      scope: 'account',
      retryAfter: 15,
      message:
        'The account that the class shares reached its requests per minute. Waiting for the class: try again in 15 s.'
    };
  }
  // A student's client would report its own key as invalid.
  if (status === 401 || code === CODES.authentication) {
    return {
      status: 502,
      code: CODES.serverError,
      scope: 'account',
      message:
        'Cloudflare does not accept the token of the class server. Ask your teacher to renew it.'
    };
  }
  return null;
}

function findErrorCode(text: string): number | null {
  try {
    const body = JSON.parse(text) as {
      errors?: { code?: unknown }[];
      internalCode?: unknown;
    } | null;
    const code = body?.errors?.[0]?.code ?? body?.internalCode;
    return typeof code === 'number' ? code : null;
  } catch {
    return null;
  }
}

function copyResponse(response: Response, body: BodyInit | null): Response {
  const headers = new Headers({ 'cache-control': 'no-store' });
  for (const name of PASSED_HEADERS) {
    const value = response.headers.get(name);
    if (value !== null) {
      headers.set(name, value);
    }
  }
  return new Response(body, { status: response.status, headers });
}
