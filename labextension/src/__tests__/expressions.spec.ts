import { expressions } from '../expressions';

const findAll = (prompt: string): string[] =>
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
    expect(expressions('{{ '.repeat(20_000))).toEqual([]);
  });
});
