import { ASK_SCHEMA, question, readAsk } from '../palette/cell';

describe('question', () => {
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
    expect(question(ask)).toEqual({ source, cursor: source.length });
  });

  it('quotes what it is about below the question, where the cursor stays', () => {
    const quotes = [
      { text: 'x = 1', language: 'python' },
      { text: 'A *note*', language: '' }
    ];
    const { source, cursor } = question({ prompt: 'Why?' }, quotes);
    expect(source).toBe(
      '%%cfai\nWhy?\n\n```python\nx = 1\n```\n\n```\nA *note*\n```'
    );
    expect(source.slice(0, cursor)).toBe('%%cfai\nWhy?');
  });

  it('fences what has fences of its own with longer ones', () => {
    const text = '````\n```x```\n````';
    const { source } = question({}, [{ text, language: '' }]);
    expect(source).toBe(`%%cfai\n\n\n\`\`\`\`\`\n${text}\n\`\`\`\`\``);
  });

  it('has nothing filled into what it quotes', () => {
    const quotes = [{ text: 'f"{{x}}"', language: 'python' }];
    expect(question({ model: 'gemma-4' }, quotes).source).toMatch(
      /^%%cfai -m gemma-4 --raw\n/
    );
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
