import { ASK_SCHEMA, askSource, readAsk } from '../palette/cell';

describe('askSource', () => {
  it.each([
    ['nothing said: an empty question', {}, '%%cfai\n'],
    ['a prompt', { prompt: 'Why?' }, '%%cfai\nWhy?'],
    [
      'a model',
      { model: '@cf/google/gemma-4-26b-a4b-it' },
      '%%cfai -m @cf/google/gemma-4-26b-a4b-it\n'
    ],
    [
      'both, with lines, braces and quotes as they are',
      { model: 'gemma-4', prompt: "it's {x}\n$y" },
      "%%cfai -m gemma-4\nit's {x}\n$y"
    ]
  ])('writes %s', (_, ask, source) => {
    expect(askSource(ask)).toBe(source);
  });
});

describe('readAsk', () => {
  it('keeps what the command describes and nothing else', () => {
    expect(
      readAsk({ model: 'gemma-4', prompt: 'Why?', toolbar: true })
    ).toEqual({ model: 'gemma-4', prompt: 'Why?' });
    expect(Object.keys(readAsk({}))).toEqual(
      Object.keys(ASK_SCHEMA.properties as object)
    );
  });

  it.each([
    ['a second line', 'gemma\nimport os'],
    ['a further option', 'gemma -o x'],
    ['an option alone', '--raw'],
    ['an expression that IPython would evaluate', '{open("x")}'],
    ['a variable that IPython would fill in', '$x'],
    ['no name', ''],
    ['a number', 7],
    ['null', null]
  ])('refuses a model that is %s', (_, model) => {
    expect(() => readAsk({ model })).toThrow('Not the name of a model');
  });

  it('refuses a prompt that is no text', () => {
    expect(() => readAsk({ prompt: ['a'] })).toThrow(
      'Not a text to ask: ["a"]'
    );
  });
});
