/** Check the requests of students, and bound what each call can cost. */

import { readBytes, readJson, type JsonObject } from './body';
import {
  MEDIA_FIELDS,
  findMedia,
  pick,
  readMessages,
  withoutMedia
} from './content';
import { CODES, RefusedError, badInput } from './errors';
import type { Cost } from './ledger';
import type { ModelRule, Policy } from './rules';

/** A checked request, ready to be reserved and sent. */
export interface Call {
  model: string;
  rule: ModelRule;
  cost: Cost;
  /** Path of the request below /ai/. */
  path: string;
  contentType: string;
  isStream: boolean;
  /** Return the body for the tokens that were granted. */
  body: (maxTokens: number) => BodyInit;
}

const CHAT_TASK = 'Text Generation';
const EMBEDDING_TASK = 'Text Embeddings';
/** A token has at least one byte, and a chat template adds at most this to each message. */
const TOKENS_PER_MESSAGE = 64;
/** Chat templates describe functions in their own words and indent their schemas. */
const TOKENS_FOR_TOOLS = 512;
const TOOL_FACTOR = 3;
/** A shorter answer is not worth its prompt. */
const MIN_ANSWER_TOKENS = 16;
/** Fields that change the answer, but not the bound of its cost. Other fields are left out. */
const CHAT_FIELDS = [
  'temperature top_p top_k seed stop stream response_format reasoning_effort',
  'tools tool_choice parallel_tool_calls functions function_call',
  'frequency_penalty presence_penalty repetition_penalty logit_bias',
  'logprobs top_logprobs chat_template_kwargs'
].flatMap(names => names.split(' '));
const TEXT_FIELDS = [
  'text pooling query queries contexts documents instruction top_k',
  'truncate_inputs source_lang target_lang'
].flatMap(names => names.split(' '));
const EMBEDDING_FIELDS = ['input', 'dimensions', 'encoding_format'];

/** Plan a request to /v1/chat/completions. */
export async function planChat(
  request: Request,
  policy: Policy
): Promise<Call> {
  const body = await readJson(request);
  const { model, rule } = findModel(body['model'], policy, CHAT_TASK);
  return planGeneration(body, model, rule, policy, {
    path: 'v1/chat/completions',
    names: { model }
  });
}

/** Plan a request to /v1/embeddings. */
export async function planEmbeddings(
  request: Request,
  policy: Policy
): Promise<Call> {
  const body = await readJson(request);
  const { model, rule } = findModel(body['model'], policy, EMBEDDING_TASK);
  const fields = { model, ...pick(body, EMBEDDING_FIELDS) };
  return planText(fields, body, model, rule, policy, 'v1/embeddings');
}

/** Plan a request to /run/{model}. */
export async function planRun(
  request: Request,
  policy: Policy,
  name: string
): Promise<Call> {
  const { model, rule } = findModel(name, policy);
  const path = `run/${model}`;
  if (rule.task === CHAT_TASK) {
    const body = await readJson(request);
    return planGeneration(body, model, rule, policy, { path, names: {} });
  }
  if (rule.bound === null) {
    const body = await readJson(request);
    return planText(pick(body, TEXT_FIELDS), body, model, rule, policy, path);
  }
  const bytes = await readBytes(request);
  return {
    model,
    rule,
    path,
    cost: { fixed: rule.bound, perToken: 0, maxTokens: 0, minTokens: 0 },
    contentType:
      request.headers.get('content-type') ?? 'application/octet-stream',
    isStream: false,
    body: () => bytes
  };
}

function findModel(
  name: unknown,
  policy: Policy,
  task?: string
): { model: string; rule: ModelRule } {
  const model = typeof name === 'string' ? name : '';
  const rule = Object.hasOwn(policy.models, model)
    ? policy.models[model]
    : undefined;
  const usable = Object.entries(policy.models)
    .filter(([, other]) => task === undefined || other.task === task)
    .map(([other]) => other);
  if (!rule) {
    throw new RefusedError({
      status: 403,
      code: CODES.classRule,
      scope: 'class',
      message: `The class does not use the model ${JSON.stringify(model.slice(0, 100))}. Use ${usable.slice(0, 5).join(', ') || 'a model that your teacher names'}.`
    });
  }
  if (task !== undefined && rule.task !== task) {
    throw badInput(
      `${model} is a model for ${rule.task}. Send the request to /run/${model}.`
    );
  }
  if (rule.price === null && rule.bound === null) {
    throw new RefusedError({
      status: 403,
      code: CODES.classRule,
      scope: 'class',
      message: `The price of ${model} is not known before a call. Your teacher can set a bound for it.`
    });
  }
  return { model, rule };
}

function planGeneration(
  body: JsonObject,
  model: string,
  rule: ModelRule,
  policy: Policy,
  target: { path: string; names: JsonObject }
): Call {
  for (const name of ['n', 'best_of']) {
    if (
      ![undefined, null, 1].includes(body[name] as number | null | undefined)
    ) {
      throw badInput(`${name} must be 1. Send one request for each answer.`);
    }
  }
  if (
    ![undefined, null, true, false].includes(
      body['stream'] as boolean | null | undefined
    )
  ) {
    throw badInput('stream must be true or false.');
  }
  const media = findMedia(body);
  if (media && rule.bound === null) {
    throw badInput(
      `The cost of ${media} is not known before a call. Leave it out, or ask your teacher to set a bound for ${model}.`
    );
  }
  const messages = readMessages(body, policy.systemPrompt);
  const fields = { ...target.names, ...pick(body, CHAT_FIELDS), messages };
  const text = { ...fields, messages: messages.map(withoutMedia) };
  const sent = { ...fields, ...pick(body, MEDIA_FIELDS) };
  const wanted = readMaxTokens(body, policy.maxTokens);
  const price = rule.price ?? { input: 0, output: 0 };
  const isBound = media !== '' || rule.price === null;
  return {
    model,
    rule,
    path: target.path,
    cost: {
      fixed:
        ((isBound && rule.bound) || 0) + boundPromptTokens(text) * price.input,
      perToken: price.output,
      maxTokens: wanted,
      minTokens: Math.min(wanted, MIN_ANSWER_TOKENS)
    },
    contentType: 'application/json',
    isStream: body['stream'] === true,
    body: maxTokens => JSON.stringify({ ...sent, max_tokens: maxTokens })
  };
}

/** Plan a call whose answer has a fixed length, or as many tokens as the class allows. */
function planText(
  fields: JsonObject,
  body: JsonObject,
  model: string,
  rule: ModelRule,
  policy: Policy,
  path: string
): Call {
  const media = findMedia(body);
  if (media) {
    throw badInput(`${model} does not take ${media}. Leave it out.`);
  }
  const price = rule.price ?? { input: 0, output: 0 };
  const maxTokens = price.output ? policy.maxTokens : 0;
  const fixed = (rule.bound ?? 0) + boundPromptTokens(fields) * price.input;
  const cost = {
    fixed,
    perToken: price.output,
    maxTokens,
    minTokens: maxTokens
  };
  const text = JSON.stringify(fields);
  return {
    ...{ model, rule, path, cost },
    contentType: 'application/json',
    isStream: false,
    body: () => text
  };
}

/** Return the most tokens that the prompt of a request can have. */
function boundPromptTokens(fields: JsonObject): number {
  const tools = (['tools', 'functions', 'response_format'] as const)
    .map(name => fields[name])
    .filter(value => value !== undefined && value !== null);
  const toolTokens = tools.length
    ? TOKENS_FOR_TOOLS + (TOOL_FACTOR - 1) * countBytes(tools)
    : 0;
  const messages = Array.isArray(fields['messages'])
    ? fields['messages'].length
    : 0;
  // One text of a list is like a message.
  const texts = [
    fields['input'],
    fields['text'],
    fields['contexts'],
    fields['documents']
  ]
    .filter(Array.isArray)
    .reduce((sum, list) => sum + list.length, 0);
  return (
    countBytes(fields) +
    TOKENS_PER_MESSAGE * (messages + texts + 1) +
    toolTokens
  );
}

function countBytes(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

function readMaxTokens(body: JsonObject, limit: number): number {
  const values = ['max_completion_tokens', 'max_tokens']
    .map(name => body[name])
    .filter(value => value !== undefined && value !== null);
  for (const value of values) {
    if (!Number.isInteger(value) || (value as number) < 1) {
      throw badInput('max_tokens must be a whole number, 1 or more.');
    }
  }
  return Math.min(limit, ...(values as number[]));
}
