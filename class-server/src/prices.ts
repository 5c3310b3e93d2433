/** Prices of models: Cloudflare's current list, or the list bundled with the package. */

import bundled from './prices.json';

const USD_PER_NEURON = 0.000011;
/** Cloudflare's list is rounded, so a price this close to the bundled one is the same. */
const ROUNDING = 0.02;
/** Tasks whose models return no tokens, so they have no output price. */
const INPUT_ONLY_TASKS = ['Text Embeddings', 'Text Classification'];
const UNITS = {
  'M input tokens': 'input',
  'M output tokens': 'output'
} as const;

/** Price and rate limit of a model. Prices are in neurons per million tokens. */
export interface Price {
  task: string;
  input: number | null;
  output: number | null;
  /** Requests per minute of the account, for all models with the same `perMinuteOf`. */
  perMinute: number | null;
  perMinuteOf: string;
}

export type PriceList = Record<string, Price>;

export const BUNDLED_PRICES: PriceList = bundled.models;

/** Prices in neurons per token. */
export interface TokenPrice {
  input: number;
  output: number;
}

/** Return the price per token of a model; null if it is unknown or not by tokens. */
export function tokenPrice(price: Price): TokenPrice | null {
  const output = INPUT_ONLY_TASKS.includes(price.task) ? 0 : price.output;
  if (price.input === null || output === null) {
    return null;
  }
  return { input: price.input / 1e6, output: output / 1e6 };
}

/** Return the bundled prices, updated with items of Cloudflare's model search. */
export function mergeCatalog(items: unknown): PriceList {
  const prices = { ...BUNDLED_PRICES };
  for (const item of Array.isArray(items) ? (items as CatalogItem[]) : []) {
    if (typeof item?.name === 'string') {
      prices[item.name] = mergeItem(item, BUNDLED_PRICES[item.name]);
    }
  }
  return prices;
}

/** An item of Cloudflare's model search. Its fields come from another service. */
interface CatalogItem {
  name?: unknown;
  task?: { name?: unknown } | null;
  properties?: unknown;
}

function mergeItem(item: CatalogItem, known: Price | undefined): Price {
  const listed = readPrices(item.properties);
  const name = item.task?.name;
  const task = typeof name === 'string' ? name : (known?.task ?? '');
  return {
    task,
    input: chooseExact(listed.input, known?.input),
    output: chooseExact(listed.output, known?.output),
    perMinute: known?.perMinute ?? null,
    perMinuteOf: known?.perMinuteOf ?? task
  };
}

function readPrices(properties: unknown): {
  input: number | null;
  output: number | null;
} {
  const prices = { input: null, output: null } as {
    input: number | null;
    output: number | null;
  };
  const entry = asArray(properties).find(
    property => property['property_id'] === 'price'
  );
  for (const { unit, price } of asArray(entry?.['value'])) {
    const name = String(unit).replace(/^per /, '') as keyof typeof UNITS;
    const neurons = Number(price) / USD_PER_NEURON;
    if (name in UNITS && Number.isFinite(neurons) && neurons >= 0) {
      prices[UNITS[name]] = neurons;
    }
  }
  return prices;
}

function asArray(value: unknown): Record<string, unknown>[] {
  return (Array.isArray(value) ? value : []).filter(
    item => typeof item === 'object' && item !== null
  ) as Record<string, unknown>[];
}

/** The current price wins. If it is the bundled price, rounded, the higher one is the bound. */
function chooseExact(
  listed: number | null,
  known: number | null | undefined
): number | null {
  if (listed === null || known === null || known === undefined) {
    return listed ?? known ?? null;
  }
  const isRounded = Math.abs(listed - known) <= known * ROUNDING;
  return isRounded ? Math.max(listed, known) : listed;
}
