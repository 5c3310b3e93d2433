import { PartialJSONObject, PartialJSONValue } from '@lumino/coreutils';

import { addNulls } from './nulls';
import { FromKernel, VERSION } from './protocol';

/** Validate a message; return null if it is not a message of this protocol version. */
export function parseMessage(
  data: PartialJSONValue | undefined
): FromKernel | null {
  if (
    !isObject(data) ||
    data.version !== VERSION ||
    typeof data.type !== 'string'
  ) {
    return null;
  }
  const message = addNulls(data);
  return CHECKS[data.type]?.(message)
    ? (message as unknown as FromKernel)
    : null;
}

type Check = (value: PartialJSONObject) => boolean;

const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);
const isPrice = (value: unknown): boolean => value === null || isNumber(value);
const isText = (value: unknown): boolean => typeof value === 'string';
const all = (value: unknown, check: Check): boolean =>
  Array.isArray(value) &&
  value.every(
    item =>
      isObject(item as PartialJSONValue) && check(item as PartialJSONObject)
  );
const numbers = (value: PartialJSONObject, ...names: string[]): boolean =>
  names.every(name => isNumber(value[name]));
const texts = (value: PartialJSONObject, ...names: string[]): boolean =>
  names.every(name => isText(value[name]));

const CHECKS: Readonly<Record<string, Check | undefined>> = {
  hello: ({ channel }) => channel === undefined || isText(channel),
  active: ({ active }) => typeof active === 'boolean',
  state: ({ payer, model, day }) =>
    isText(payer) &&
    isText(model) &&
    (day === null || (isObject(day) && isDay(day))),
  today: ({ id, models, hours, budgets }) =>
    isText(id) &&
    all(
      models,
      each => isText(each.name) && numbers(each, 'calls', 'neurons')
    ) &&
    Array.isArray(hours) &&
    hours.every(isNumber) &&
    all(
      budgets,
      each =>
        isText(each.scope) &&
        (each.source === undefined || isText(each.source)) &&
        numbers(each, 'neurons', 'spent')
    ),
  models: ({ id, models }) =>
    isText(id) &&
    all(
      models,
      each =>
        isText(each.name) &&
        isPrice(each.in) &&
        isPrice(each.out) &&
        Array.isArray(each.traits)
    ),
  use: ({ id }) => isText(id),
  estimate: ({ id, estimate }) =>
    isText(id) &&
    (estimate === null || (isObject(estimate) && isEstimate(estimate))),
  complete: ({ id, length, items }) =>
    isText(id) &&
    isNumber(length) &&
    all(items, each => texts(each, 'text', 'type', 'description')),
  panel: ({ id, view }) =>
    isText(id) && isObject(view) && isText(view.model_id),
  refused: ({ id, why }) => isText(id) && isText(why)
};

function isEstimate(estimate: PartialJSONObject): boolean {
  const { typical, high, expressions, history } = estimate;
  return (
    isPrice(typical) &&
    isPrice(high) &&
    typeof expressions === 'boolean' &&
    typeof history === 'boolean'
  );
}

function isDay(day: PartialJSONObject): boolean {
  const { account, elsewhere, source } = day;
  return (
    numbers(
      day,
      'billed',
      'estimated',
      'running',
      'reserved',
      'limit',
      'resets'
    ) &&
    (elsewhere === undefined || isNumber(elsewhere)) &&
    (source === undefined || isText(source)) &&
    (account === null ||
      (isObject(account) && numbers(account, 'neurons', 'reported')))
  );
}

function isObject(
  value: PartialJSONValue | undefined
): value is PartialJSONObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
