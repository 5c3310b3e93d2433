const FIRST_LINE = /^%%cfai(?=\s|$)/;
const COMMAND = /^\s*%cfai(?=\s|$)/;

/** Return true for a prompt cell: its first line starts with `%%cfai`. */
export function isQuestion(source: string): boolean {
  return FIRST_LINE.test(source);
}

/** Return true for a `%%cfai` cell or a `%cfai` command. */
export function isOurs(source: string): boolean {
  return isQuestion(source) || COMMAND.test(source);
}

/** A token of the first line, for highlighting. */
export interface IPiece {
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
export function pieces(line: string): IPiece[] {
  return [...line.matchAll(WORD)].map(({ 0: word, index }) => ({
    name: index === 0 ? 'Magic' : nameOf(word),
    from: index,
    to: index + word.length
  }));
}

/** Return true if the line has --raw, so that {{…}} is not evaluated. */
export function isRaw(line: string): boolean {
  return pieces(line).some(
    ({ name, from, to }) => name === 'Flag' && line.slice(from, to) === '--raw'
  );
}

function nameOf(word: string): IPiece['name'] {
  if (FLAG.test(word)) {
    return 'Flag';
  }
  return NUMBER.test(word) ? 'Number' : 'Value';
}

const SPLIT = /([^\s"'=]+=)?(["'])((?:\\\2|(?!\2).)*)\2(?!\S)|(\S+)/g;

/** Split a line into words like the kernel: quotes group words and are removed. */
export function words(line: string): string[] {
  return [...line.matchAll(SPLIT)].map(
    ([, key = '', quote, quoted, plain]) =>
      plain ?? key + quoted.split(`\\${quote}`).join(quote)
  );
}

/** A range of a text, including the braces. */
export interface IRange {
  readonly from: number;
  readonly to: number;
}

// The limits of the kernel: longer or more deeply nested text is not evaluated.
const LONGEST = 2000;
const DEEPEST = 20;
const OPENING = /\{\{+/g;
// Strings can contain braces, so they are one token; other text without braces is skipped.
const TOKEN =
  /"{3}[^]*?"{3}|'{3}[^]*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[^{}'"]+|[^]/g;
// The kernel does not evaluate empty braces or plain numbers, as in LaTeX's x^{{12}}.
const PLAIN = /^[\s\d.,]*$/;

/** Find the `{{expression}}`s of a prompt like the kernel: in `{{{x}}}`, the inner braces count. */
export function expressions(prompt: string): IRange[] {
  const ranges: IRange[] = [];
  let end = 0;
  for (const { 0: braces, index } of prompt.matchAll(OPENING)) {
    const inside = index + braces.length;
    const to = index < end ? 0 : endOf(prompt, inside);
    if (to > 0 && !PLAIN.test(prompt.slice(inside, to - 2))) {
      ranges.push({ from: inside - 2, to });
      end = to;
    }
  }
  return ranges;
}

/** Return the end of the expression whose text starts at `inside`; 0 if it is not closed. */
function endOf(prompt: string, inside: number): number {
  let depth = 2;
  for (const { 0: token, index } of prompt
    .slice(inside, inside + LONGEST)
    .matchAll(TOKEN)) {
    depth += Number(token === '{') - Number(token === '}');
    if (depth === 1) {
      const end = inside + index + 2;
      return prompt[end - 1] === '}' ? end : 0;
    }
    if (depth > DEEPEST) {
      return 0;
    }
  }
  return 0;
}
