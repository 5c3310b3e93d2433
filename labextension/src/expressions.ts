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
