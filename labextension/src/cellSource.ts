import {
  ReadonlyJSONObject,
  ReadonlyPartialJSONObject
} from '@lumino/coreutils';

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

// Like the kernel: the value of a %cfai line can be assigned.
const COMPLETED_LINE = /^\s*(?:[\p{L}\p{N}_.,\s]+=\s*)?(%%?)cfai\s/u;

/** Return true if the kernel completes a line, given its text up to the cursor and its index. */
export function canComplete(line: string, row: number): boolean {
  const magic = COMPLETED_LINE.exec(line)?.[1];
  return magic === '%' || (magic === '%%' && row === 0);
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

/** The prompt and the model of a new cell. */
export interface ICellArgs {
  readonly model?: string;
  readonly prompt?: string;
}

/** JSON Schema of the arguments of the commands that insert a prompt cell. */
export const CELL_ARGS_SCHEMA: ReadonlyJSONObject = {
  type: 'object',
  properties: {
    model: {
      type: 'string',
      description:
        'Model name, as for %%cfai -m (default: the default model of the kernel)'
    },
    prompt: {
      type: 'string',
      description: 'Prompt: the text below the first line of the cell'
    }
  },
  additionalProperties: false
};

// IPython evaluates {…} and $… in the line of a magic, so model names must not contain them.
const MODEL_NAME = /^[@\w][\w@./:-]*$/;

/** Validate the arguments, which any extension can send. */
export function parseCellArgs(args: ReadonlyPartialJSONObject): ICellArgs {
  const { model, prompt } = args;
  if (
    model !== undefined &&
    (typeof model !== 'string' || !MODEL_NAME.test(model))
  ) {
    throw new Error(
      `Not a valid model name: ${JSON.stringify(model)}. Use letters, digits and @ _ . / : - only.`
    );
  }
  if (prompt !== undefined && typeof prompt !== 'string') {
    throw new Error(
      `The prompt must be a string, not ${JSON.stringify(prompt)}`
    );
  }
  return { model, prompt };
}

/** The source of a %%cfai cell, and the cursor position at the end of its prompt. */
export interface INewCell {
  readonly source: string;
  readonly cursor: number;
}

/** A text to quote in a prompt, with its language as in a Markdown code fence. */
export interface IQuotedText {
  readonly text: string;
  readonly language: string;
}

/** Return a %%cfai cell with a prompt, followed by the quoted texts. */
export function buildCell(
  { model, prompt = '' }: ICellArgs,
  quotes: readonly IQuotedText[] = []
): INewCell {
  const words = ['%%cfai'];
  if (model !== undefined) {
    words.push('-m', model);
  }
  // The kernel must not evaluate {{…}} in quoted text.
  if (quotes.some(({ text }) => text.includes('{{'))) {
    words.push('--raw');
  }
  const head = `${words.join(' ')}\n${prompt}`;
  const source = [head, ...quotes.map(fenceText)].join('\n\n');
  return { source, cursor: head.length };
}

function fenceText({ text, language }: IQuotedText): string {
  const runs = text.match(/`{3,}/g) ?? [];
  const fence = '`'.repeat(Math.max(3, ...runs.map(run => run.length + 1)));
  return `${fence}${language}\n${text}\n${fence}`;
}

/** The `%cfai` commands for a failed cell. */
export type ErrorCommand = 'explain' | 'fix';

/** JSON Schema of the arguments of the command that explains an error. */
export const EXPLAIN_ARGS_SCHEMA: ReadonlyJSONObject = {
  type: 'object',
  properties: {
    cell: {
      type: 'integer',
      minimum: 1,
      description:
        'Execution count of the failed cell, for example 3 for [3] (default: the last error)'
    }
  },
  additionalProperties: false
};

/** Validate the arguments, which any extension can send; return the cell number or null. */
export function parseExplainArgs(
  args: ReadonlyPartialJSONObject
): number | null {
  const { cell } = args;
  if (cell === undefined) {
    return null;
  }
  if (!Number.isInteger(cell) || Number(cell) < 1) {
    throw new Error(
      `The cell number must be an integer of at least 1, not ${JSON.stringify(cell)}`
    );
  }
  return Number(cell);
}

/** Return the source of a cell for a failed cell, or for the last error. */
export function buildErrorCell(
  command: ErrorCommand,
  cell: number | null
): string {
  return cell === null ? `%cfai ${command}` : `%cfai ${command} ${cell}`;
}

/** Return the code in a code block of an answer, which ends in a newline when it is rendered. */
export function codeOfBlock(text: string): string {
  return text.replace(/\n$/, '');
}
