import { filterModels, formatPrice } from '../model-picker/list';
import { IModel } from '../protocol';
import { shortName } from '../ui';

// The functions need no DOM, but the classes in their files extend these.
jest.mock('@jupyterlab/ui-components', () => ({
  LabIcon: class {},
  ReactWidget: class {}
}));
jest.mock('@lumino/widgets', () => ({}));

const model = (name: string, changes: Partial<IModel> = {}): IModel => ({
  name,
  in: 9.09,
  out: 27.27,
  paid: false,
  traits: [],
  ...changes
});
const models = [
  model('@cf/google/gemma-4', { traits: ['vision', 'tools'] }),
  model('@cf/meta/llama-3', { paid: true }),
  model('@cf/meta/llama-2', { traits: ['tools'] })
];

describe('filterModels', () => {
  it.each([
    ['', ['gemma-4', 'llama-3', 'llama-2']],
    ['  LLAMA ', ['llama-3', 'llama-2']],
    ['meta 3', ['llama-3']],
    ['free', ['gemma-4', 'llama-2']],
    ['paid', ['llama-3']],
    ['tools gemma', ['gemma-4']],
    ['nothing', []]
  ])('for %j returns %j', (typed, names) =>
    expect(
      filterModels(models, typed).map(({ name }) => name.split('/')[2])
    ).toEqual(names)
  );
});

describe('formatPrice', () => {
  it.each([
    [{}, '9.1 → 27.3'],
    [{ out: null }, '9.1'],
    [{ in: null, out: null }, '']
  ])('with %j returns %j', (changes, expected) =>
    expect(formatPrice(model('x', changes))).toBe(expected)
  );
});

describe('shortName', () => {
  it.each(['@cf/meta/llama-3', 'llama-3'])('of %j is the last part', name =>
    expect(shortName(name)).toBe('llama-3')
  );
});
