import { splitWords } from '../cellSyntax';
import {
  hasExpressions,
  namesModel,
  toEstimateRequest
} from '../estimate/estimateRequest';
import { IEstimateRequest, IModel } from '../protocol';

interface ILines {
  lines: { source: string; asks: IEstimateRequest | null }[];
}

const { lines } = jest.requireActual<ILines>(
  '../../../tests/contract/messages.json'
);
const models = ['@cf/google/gemma-4-26b-a4b-it', '@cf/meta/llama-3'].map(
  (name): IModel => ({ name, in: 1, out: 2, paid: false, traits: [] })
);

describe('toEstimateRequest', () => {
  it.each(lines.map(({ source, asks }) => [source, asks] as const))(
    'builds the request of the contract for %j',
    (source, expected) =>
      expect(toEstimateRequest(source, models)).toEqual(expected)
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
  ])('returns null for %j', source =>
    expect(toEstimateRequest(source, models)).toBeNull()
  );

  it('sends no typed text', () => {
    const secret = 'canary';
    const source = `%%cfai -m llama-3 -s ${secret} -c ${secret} -o ${secret} --stop ${secret}\n${secret}`;
    expect(JSON.stringify(toEstimateRequest(source, models))).not.toContain(
      secret
    );
    expect(toEstimateRequest(`%%cfai -m ${secret}\nWhy?`, models)).toBeNull();
  });

  it('needs the model list only if the line selects a model', () => {
    expect(namesModel('%%cfai -m x\nWhy?')).toBe(true);
    expect(namesModel('%%cfai -s "-m"\n-m x')).toBe(false);
  });
});

describe('splitWords', () => {
  it.each([
    ['a  b', ['a', 'b']],
    [`"a b" 'c "d"' e`, ['a b', 'c "d"', 'e']],
    [`'it\\'s' don't`, ["it's", "don't"]],
    ['k="v w" {"a":1}', ['k=v w', '{"a":1}']],
    ['"not closed', ['"not', 'closed']]
  ])('splits %j into %j', (line, expected) =>
    expect(splitWords(line)).toEqual(expected)
  );
});

describe('hasExpressions', () => {
  it.each([
    ['%%cfai\nWhat is in {{df}}?', true],
    ['%%cfai -o x\n{{df.head()}} and {{text!r}}', true],
    ['%%cfai --raw\nWhat is in {{df}}?', false],
    ['%%cfai\nx^{{12}} and {one}', false],
    ['%%cfai -s {{df}}\nWhy?', false]
  ])('returns the expected result for %j: %s', (source, expected) =>
    expect(hasExpressions(source)).toBe(expected)
  );
});
