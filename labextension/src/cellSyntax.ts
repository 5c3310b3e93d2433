const CELL_MAGIC = /^%%cfai(?=\s|$)/;
const LINE_MAGIC = /^\s*%cfai(?=\s|$)/;

/** Return true for a prompt cell: its first line starts with `%%cfai`. */
export function isCfaiCell(source: string): boolean {
  return CELL_MAGIC.test(source);
}

/** Return true for a `%%cfai` cell or a `%cfai` command. */
export function isCfaiSource(source: string): boolean {
  return isCfaiCell(source) || LINE_MAGIC.test(source);
}

/** A token of the first line, for highlighting. */
export interface IToken {
  readonly name: 'Magic' | 'Flag' | 'Value' | 'Number';
  readonly from: number;
  readonly to: number;
}

// Like the kernel: a quote counts only at the start of a word or of a value after "=".
const WORD =
  /--[\w-]+(?==)|(?:[^\s"'=]+=|=)?(["'])(?:\\\1|(?!\1).)*\1(?!\S)|\S+/g;
const FLAG = /^--?[A-Za-z][\w-]*$/;
const NUMBER = /^=?-?(?:\d+\.?\d*|\.\d+)$/;

/** Split the first line of a %%cfai cell into the magic, its flags and their values. */
export function tokenize(line: string): IToken[] {
  return [...line.matchAll(WORD)].map(({ 0: word, index }) => ({
    name: index === 0 ? 'Magic' : tokenName(word),
    from: index,
    to: index + word.length
  }));
}

/** Return true if the line has --raw, so that {{…}} is not evaluated. */
export function hasRawFlag(line: string): boolean {
  return tokenize(line).some(
    ({ name, from, to }) => name === 'Flag' && line.slice(from, to) === '--raw'
  );
}

function tokenName(word: string): IToken['name'] {
  if (FLAG.test(word)) {
    return 'Flag';
  }
  return NUMBER.test(word) ? 'Number' : 'Value';
}

/** A range of a text, including the braces. */
export interface IRange {
  readonly from: number;
  readonly to: number;
}

// The limits of the kernel: longer or more deeply nested text is not evaluated.
const MAX_EXPRESSION_LENGTH = 2000;
const MAX_BRACE_DEPTH = 20;
const OPENING = /\{\{+/g;
// Strings can contain braces, so they are one token; other text without braces is skipped.
const TOKEN =
  /"{3}[^]*?"{3}|'{3}[^]*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[^{}'"]+|[^]/g;
// The kernel does not evaluate empty braces or plain numbers, as in LaTeX's x^{{12}}.
const PLAIN = /^[\s\d.,]*$/;

/** Find the `{{expression}}`s of a prompt like the kernel: in `{{{x}}}`, the inner braces count. */
export function findExpressions(prompt: string): IRange[] {
  const ranges: IRange[] = [];
  let end = 0;
  for (const { 0: braces, index } of prompt.matchAll(OPENING)) {
    const inside = index + braces.length;
    const to = index < end ? 0 : findEnd(prompt, inside);
    if (to > 0 && !PLAIN.test(prompt.slice(inside, to - 2))) {
      ranges.push({ from: inside - 2, to });
      end = to;
    }
  }
  return ranges;
}

/** Return the end of the expression whose text starts at `inside`; 0 if it is not closed. */
function findEnd(prompt: string, inside: number): number {
  let depth = 2;
  for (const { 0: token, index } of prompt
    .slice(inside, inside + MAX_EXPRESSION_LENGTH)
    .matchAll(TOKEN)) {
    depth += Number(token === '{') - Number(token === '}');
    if (depth === 1) {
      const end = inside + index + 2;
      return prompt[end - 1] === '}' ? end : 0;
    }
    if (depth > MAX_BRACE_DEPTH) {
      return 0;
    }
  }
  return 0;
}
