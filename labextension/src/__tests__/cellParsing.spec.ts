import {
  canComplete,
  findExpressions,
  hasRawFlag,
  isCfaiCell,
  isCfaiSource,
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
