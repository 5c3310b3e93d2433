/** Prices of the bundled list and of Cloudflare's list. */

import { expect, it } from 'vitest';

import { BUNDLED_PRICES, mergeCatalog, tokenPrice } from '../src/prices';

const MODEL = '@cf/meta/llama-3.2-3b-instruct';
const price = (dollars: unknown, unit = 'per M input tokens') => ({
  name: MODEL,
  task: { name: 'Text Generation' },
  properties: [
    { property_id: 'price', value: [{ unit, price: dollars, currency: 'USD' }] }
  ]
});

it.each([
  ['the bundled price, rounded', price(0.0509), 4627.2727],
  ['the bundled price, rounded down', price(0.0506), 4625],
  ['a higher price', price(0.1), 9090.909],
  ['a lower price', price(0.01), 909.0909],
  ['an invalid price', price('free'), 4625],
  ['a negative price', price(-1), 4625],
  ['no price', { name: MODEL }, 4625],
  ['another unit', price(5, 'per image'), 4625],
  [
    'invalid properties',
    { name: MODEL, properties: [null, { property_id: 'price', value: 5 }] },
    4625
  ]
])(
  'with %s in the list of Cloudflare, the right one is used',
  (_name, item, neurons) => {
    expect(mergeCatalog([item])[MODEL]?.input).toBeCloseTo(neurons, 3);
  }
);

it.each([[null], [{}], ['text'], [[]]])(
  'a list that is %j leaves the bundled prices',
  items => {
    expect(mergeCatalog(items)).toEqual(BUNDLED_PRICES);
  }
);

it.each([
  ['@cf/baai/bge-m3', true],
  [MODEL, true],
  ['@cf/openai/whisper', false],
  ['@cf/black-forest-labs/flux-1-schnell', false],
  ['@cf/cloudflare/clef', false],
  ['@cf/swiss-ai/apertus-v1.5-8b', false]
])('the price per token of %s is known: %s', (model, isKnown) => {
  const listed = BUNDLED_PRICES[model];
  expect(listed && tokenPrice(listed) !== null).toBe(isKnown);
});
