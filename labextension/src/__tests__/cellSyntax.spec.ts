import { isRaw, pieces } from '../cellSyntax';

const split = (line: string): string[] =>
  pieces(line).map(({ name, from, to }) => `${name} ${line.slice(from, to)}`);

describe('pieces', () => {
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

describe('isRaw', () => {
  it('distinguishes the flag from a quoted value', () => {
    expect(isRaw('%%cfai --raw')).toBe(true);
    expect(isRaw('%%cfai -s "--raw"')).toBe(false);
    expect(isRaw('%%cfai')).toBe(false);
  });
});
