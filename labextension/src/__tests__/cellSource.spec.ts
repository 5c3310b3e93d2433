import {
  buildCell,
  buildErrorCell,
  CELL_ARGS_SCHEMA,
  codeOfBlock,
  EXPLAIN_ARGS_SCHEMA,
  parseCellArgs,
  parseExplainArgs
} from '../cellSource';

describe('buildCell', () => {
  it.each([
    ['an empty prompt by default', {}, '%%cfai\n'],
    ['a prompt', { prompt: 'Why?' }, '%%cfai\nWhy?'],
    [
      'a model',
      { model: '@cf/google/gemma-4-26b-a4b-it' },
      '%%cfai -m @cf/google/gemma-4-26b-a4b-it\n'
    ],
    [
      'a model and an unchanged prompt with lines, braces and quotes',
      { model: 'gemma-4', prompt: "it's {x}\n$y" },
      "%%cfai -m gemma-4\nit's {x}\n$y"
    ]
  ])('builds a cell with %s', (_, ask, source) => {
    expect(buildCell(ask)).toEqual({ source, cursor: source.length });
  });

  it('appends quoted texts and keeps the cursor after the prompt', () => {
    const quotes = [
      { text: 'x = 1', language: 'python' },
      { text: 'A *note*', language: '' }
    ];
    const { source, cursor } = buildCell({ prompt: 'Why?' }, quotes);
    expect(source).toBe(
      '%%cfai\nWhy?\n\n```python\nx = 1\n```\n\n```\nA *note*\n```'
    );
    expect(source.slice(0, cursor)).toBe('%%cfai\nWhy?');
  });

  it('uses longer fences for text with fences', () => {
    const text = '````\n```x```\n````';
    const { source } = buildCell({}, [{ text, language: '' }]);
    expect(source).toBe(`%%cfai\n\n\n\`\`\`\`\`\n${text}\n\`\`\`\`\``);
  });

  it('adds --raw if a quoted text contains {{', () => {
    const quotes = [{ text: 'f"{{x}}"', language: 'python' }];
    expect(buildCell({ model: 'gemma-4' }, quotes).source).toMatch(
      /^%%cfai -m gemma-4 --raw\n/
    );
  });
});

describe('parseCellArgs', () => {
  it('keeps only the arguments of the schema', () => {
    expect(
      parseCellArgs({ model: 'gemma-4', prompt: 'Why?', toolbar: true })
    ).toEqual({ model: 'gemma-4', prompt: 'Why?' });
    expect(Object.keys(parseCellArgs({}))).toEqual(
      Object.keys(CELL_ARGS_SCHEMA.properties as object)
    );
  });

  it.each([
    ['two lines', 'gemma\nimport os'],
    ['a name and an option', 'gemma -o x'],
    ['an option', '--raw'],
    ['an expression that IPython evaluates', '{open("x")}'],
    ['a variable that IPython expands', '$x'],
    ['empty', ''],
    ['a number', 7],
    ['null', null]
  ])('rejects a model that is %s', (_, model) => {
    expect(() => parseCellArgs({ model })).toThrow('Not a valid model name');
  });

  it('rejects a prompt that is not a string', () => {
    expect(() => parseCellArgs({ prompt: ['a'] })).toThrow(
      'The prompt must be a string, not ["a"]'
    );
  });
});

describe('parseExplainArgs', () => {
  it('accepts the arguments of the schema', () => {
    expect(parseExplainArgs({ cell: 3 })).toBe(3);
    expect(parseExplainArgs({ toolbar: true })).toBeNull();
    expect(Object.keys(EXPLAIN_ARGS_SCHEMA.properties as object)).toEqual([
      'cell'
    ]);
  });

  it.each([0, -1, 1.5, '3', '3\nimport os', null])('rejects %j', cell => {
    expect(() => parseExplainArgs({ cell })).toThrow('The cell number must be');
  });
});

describe('buildErrorCell', () => {
  it('contains the cell number, if there is one', () => {
    expect(buildErrorCell('explain', 3)).toBe('%cfai explain 3');
    expect(buildErrorCell('fix', 3)).toBe('%cfai fix 3');
    expect(buildErrorCell('explain', null)).toBe('%cfai explain');
  });
});

describe('codeOfBlock', () => {
  it.each([
    ['x = 1\n', 'x = 1'],
    ['x = 1', 'x = 1'],
    ['def f():\n\treturn 1\n\n', 'def f():\n\treturn 1\n'],
    ['', '']
  ])('removes the newline that rendering adds from %j', (text, code) => {
    expect(codeOfBlock(text)).toBe(code);
  });
});
