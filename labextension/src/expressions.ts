/** A stretch of text, braces included. */
export interface IRange {
  readonly from: number;
  readonly to: number;
}

// Beyond, neither the kernel nor this looks for an end.
const LONGEST = 2000;
const DEEPEST = 20;
const OPENING = /\{\{+/g;
// A string may hold braces; all else that is no brace is passed over.
const TOKEN =
  /"{3}[^]*?"{3}|'{3}[^]*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[^{}'"]+|[^]/g;
// What the kernel leaves as typed: nothing, or bare numbers as in LaTeX's x^{{12}}.
const PLAIN = /^[\s\d.,]*$/;

/** Find the `{{expression}}`s of a prompt, as the kernel does: of a run of braces, the inner two. */
export function expressions(prompt: string): IRange[] {
  const found: IRange[] = [];
  let taken = 0;
  for (const { 0: braces, index } of prompt.matchAll(OPENING)) {
    const inside = index + braces.length;
    const to = index < taken ? 0 : endOf(prompt, inside);
    if (to > 0 && !PLAIN.test(prompt.slice(inside, to - 2))) {
      found.push({ from: inside - 2, to });
      taken = to;
    }
  }
  return found;
}

/** Where the braces end whose inside begins here; 0 where they do not. */
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
