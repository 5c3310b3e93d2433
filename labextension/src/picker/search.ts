import { neurons } from '../format';
import { IModel } from '../protocol';

/** The models that have all of the words in their names or traits; "free" is a trait too. */
export function found(models: readonly IModel[], typed: string): IModel[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  return models.filter(model => {
    const plan = model.paid ? 'paid' : 'free';
    const text = [model.name.toLowerCase(), plan, ...model.traits].join(' ');
    return words.every(word => text.includes(word));
  });
}

/** The price of a model for 1,000 tokens, in and out; empty where nobody knows. */
export function price(model: IModel): string {
  return [model.in, model.out]
    .filter(rate => rate !== null)
    .map(neurons)
    .join(' → ');
}
