import { asks, hasValues, namesModel } from '../estimate/asks';
import { words } from '../line';
import { ICellAsks, IModel } from '../protocol';

interface ILines {
  lines: { source: string; asks: ICellAsks | null }[];
}

const { lines } = jest.requireActual<ILines>(
  '../../../tests/contract/messages.json'
);
const models = ['@cf/google/gemma-4-26b-a4b-it', '@cf/meta/llama-3'].map(
  (name): IModel => ({ name, in: 1, out: 2, paid: false, traits: [] })
);

describe('asks', () => {
  it.each(lines.map(({ source, asks }) => [source, asks] as const))(
    'asks of %j what the contract has',
    (source, wanted) => expect(asks(source, models)).toEqual(wanted)
  );

  it.each([
    '%%cfai',
    '%%cfai -p n=3\nWhy?',
    '%%cfai --tools f\nWhy?',
    '%%cfai --task image\nA fish',
    '%%cfai --max-neurons\nWhy?',
    '%%cfai --raw=yes\nWhy?',
    '%%cfai -m a\nWhy?',
    '%%cfai --max-tokens -5\nWhy?'
  ])('asks nothing of %j', source => expect(asks(source, models)).toBeNull());

  it('lets nothing out that was typed', () => {
    const secret = 'canary';
    const source = `%%cfai -m llama-3 -s ${secret} -c ${secret} -o ${secret} --stop ${secret}\n${secret}`;
    expect(JSON.stringify(asks(source, models))).not.toContain(secret);
    expect(asks(`%%cfai -m ${secret}\nWhy?`, models)).toBeNull();
  });

  it('knows whether the list of models is needed', () => {
    expect(namesModel('%%cfai -m x\nWhy?')).toBe(true);
    expect(namesModel('%%cfai -s "-m"\n-m x')).toBe(false);
  });
});

describe('words', () => {
  it.each([
    ['a  b', ['a', 'b']],
    [`"a b" 'c "d"' e`, ['a b', 'c "d"', 'e']],
    [`'it\\'s' don't`, ["it's", "don't"]],
    ['k="v w" {"a":1}', ['k=v w', '{"a":1}']],
    ['"never closed', ['"never', 'closed']]
  ])('cuts %j into %j', (line, wanted) => expect(words(line)).toEqual(wanted));
});

describe('hasValues', () => {
  it.each([
    ['%%cfai\nWhat is in {{df}}?', true],
    ['%%cfai -o x\n{{df.head()}} and {{text!r}}', true],
    ['%%cfai --raw\nWhat is in {{df}}?', false],
    ['%%cfai\nx^{{12}} and {one}', false],
    ['%%cfai -s {{df}}\nWhy?', false]
  ])('of %j is %s', (source, wanted) => expect(hasValues(source)).toBe(wanted));
});
