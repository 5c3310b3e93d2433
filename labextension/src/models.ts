import { formatNeurons } from './dayUsage';
import { IModel } from './protocol';

/** Return the models whose name, capabilities or plan ("free", "paid") contain all words. */
export function filterModels(
  models: readonly IModel[],
  typed: string
): IModel[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  return models.filter(model => {
    const plan = model.paid ? 'paid' : 'free';
    const text = [model.name.toLowerCase(), plan, ...model.traits].join(' ');
    return words.every(word => text.includes(word));
  });
}

/** Format the input and output price per 1,000 tokens; "" if the price is unknown. */
export function formatPrice(model: IModel): string {
  return [model.in, model.out]
    .filter(rate => rate !== null)
    .map(formatNeurons)
    .join(' → ');
}

/** Return the last part of a model name, which users type. */
export function shortName(model: string): string {
  return model.slice(model.lastIndexOf('/') + 1);
}
