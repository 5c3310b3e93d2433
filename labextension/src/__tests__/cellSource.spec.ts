import {
  buildCell,
  buildErrorCell,
  canComplete,
  CELL_ARGS_SCHEMA,
  codeOfBlock,
  EXPLAIN_ARGS_SCHEMA,
  findExpressions,
  hasRawFlag,
  isCfaiCell,
  isCfaiSource,
  parseCellArgs,
  parseExplainArgs,
  tokenize
} from '../cellSource';

describe('isCfaiCell', () => {
  it.each(['%%cfai', '%%cfai ', '%%cfai\nWhy?', '%%cfai\t-m x\nWhy?'])(
    'accepts %j',
    source => expect(isCfaiCell(source)).toBe(true)
  );

  it.each([
    '',
    '%cfai',
    '%%cfai?',
    '%%cfair\nWhy?',
    ' %%cfai',
    'x\n%%cfai\nWhy?',
    '# %%cfai'
  ])('rejects %j', source => expect(isCfaiCell(source)).toBe(false));
});

describe('isCfaiSource', () => {
  it.each(['%%cfai\nWhy?', '%cfai', '  %cfai explain 3'])(
    'accepts %j',
    source => expect(isCfaiSource(source)).toBe(true)
  );

  it.each(['1/0', '%cfair', 'x = %cfai ask Why?'])('rejects %j', source =>
    expect(isCfaiSource(source)).toBe(false)
  );
});

describe('canComplete', () => {
  it.each([
    ['%%cfai ', 0],
    ['%%cfai --model=gem', 0],
    ['  %cfai thread ex', 3],
    ['answer = %cfai use gem', 1],
    ['größe, b.c = %cfai ', 1]
  ])('accepts %j in line %i', (line, row) =>
    expect(canComplete(line, row)).toBe(true)
  );

  it.each([
    ['%%cfai', 0],
    ['%%cfai -m gem', 1],
    ['%%cfair -', 0],
    ['%cfai-', 0],
    ['# %cfai ', 0],
    ['f(%cfai ', 0],
    ['%%%cfai ', 0],
    ['cfai ', 0],
    ['Why?', 1]
  ])('rejects %j in line %i', (line, row) =>
    expect(canComplete(line, row)).toBe(false)
  );
});

const split = (line: string): string[] =>
  tokenize(line).map(({ name, from, to }) => `${name} ${line.slice(from, to)}`);

describe('tokenize', () => {
  it.each([
    ['%%cfai', ['Magic %%cfai']],
    [
      '%%cfai -m gemma-4 -o why',
      ['Magic %%cfai', 'Flag -m', 'Value gemma-4', 'Flag -o', 'Value why']
    ],
    [
      `%%cfai -s "Don't shout" --think`,
      ['Magic %%cfai', 'Flag -s', `Value "Don't shout"`, 'Flag --think']
    ],
    [
      "%%cfai --stop it's -t 0.5 --seed -7",
      [
        'Magic %%cfai',
        'Flag --stop',
        "Value it's",
        'Flag -t',
        'Number 0.5',
        'Flag --seed',
        'Number -7'
      ]
    ],
    [
      '%%cfai --model=gemma-4 -p note="a b"',
      [
        'Magic %%cfai',
        'Flag --model',
        'Value =gemma-4',
        'Flag -p',
        'Value note="a b"'
      ]
    ],
    [
      '%%cfai --max-tokens=9',
      ['Magic %%cfai', 'Flag --max-tokens', 'Number =9']
    ]
  ])('splits %j into tokens', (line, expected) => {
    expect(split(line)).toEqual(expected);
  });
});

describe('hasRawFlag', () => {
  it('distinguishes the flag from a quoted value', () => {
    expect(hasRawFlag('%%cfai --raw')).toBe(true);
    expect(hasRawFlag('%%cfai -s "--raw"')).toBe(false);
    expect(hasRawFlag('%%cfai')).toBe(false);
  });
});

const findAll = (prompt: string): string[] =>
  findExpressions(prompt).map(({ from, to }) => prompt.slice(from, to));

describe('findExpressions', () => {
  it.each([
    ['My data: {{df.head()}}.', ['{{df.head()}}']],
    ['{{a}} and {{ b!r }} and {{c:.2f}}', ['{{a}}', '{{ b!r }}', '{{c:.2f}}']],
    ['{{ {"a": {"b": 1}}["a"] }}', ['{{ {"a": {"b": 1}}["a"] }}']],
    ['{{"}}".join(x)}}', ['{{"}}".join(x)}}']],
    ["{{'{{x}}'}}", ["{{'{{x}}'}}"]],
    ['{{{x}}}', ['{{x}}']],
    ['{{f(\n  x\n)}}', ['{{f(\n  x\n)}}']]
  ])('finds the expressions of %j', (prompt, expected) => {
    expect(findAll(prompt)).toEqual(expected);
  });

  it.each([
    '',
    '{"a": 1}',
    '{{',
    '}}',
    '{{}}',
    '{{ }}',
    '{{x}',
    '$x^{{12}}$',
    '\\frac{{a}}{b',
    'int x[2][2] = {{1, 2}, {3, 4}};',
    '{% raw %}',
    `{{${'x'.repeat(3000)}}}`
  ])('finds no expression in %j', prompt => {
    // Complete {{…}} is an expression for the kernel too, also in LaTeX.
    expect(findAll(prompt)).toEqual(prompt.includes('{{a}}') ? ['{{a}}'] : []);
  });

  it('finds no expression in many unclosed braces', () => {
    expect(findExpressions('{{ '.repeat(20_000))).toEqual([]);
  });
});

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
