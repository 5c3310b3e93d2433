import { expressions } from '../expressions';

const found = (prompt: string): string[] =>
  expressions(prompt).map(({ from, to }) => prompt.slice(from, to));

describe('expressions', () => {
  it.each([
    ['My data: {{df.head()}}.', ['{{df.head()}}']],
    ['{{a}} and {{ b!r }} and {{c:.2f}}', ['{{a}}', '{{ b!r }}', '{{c:.2f}}']],
    ['{{ {"a": {"b": 1}}["a"] }}', ['{{ {"a": {"b": 1}}["a"] }}']],
    ['{{"}}".join(x)}}', ['{{"}}".join(x)}}']],
    ["{{'{{x}}'}}", ["{{'{{x}}'}}"]],
    ['{{{x}}}', ['{{x}}']],
    ['{{f(\n  x\n)}}', ['{{f(\n  x\n)}}']]
  ])('finds those of %j', (prompt, wanted) => {
    expect(found(prompt)).toEqual(wanted);
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
  ])('finds none in %j', prompt => {
    // A pair that is whole is one to the kernel too, whatever language it was meant in.
    expect(found(prompt)).toEqual(prompt.includes('{{a}}') ? ['{{a}}'] : []);
  });

  it('stays quick with many braces that close nothing', () => {
    expect(expressions('{{ '.repeat(20_000))).toEqual([]);
  });
});
