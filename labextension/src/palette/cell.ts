import {
  ReadonlyJSONObject,
  ReadonlyPartialJSONObject
} from '@lumino/coreutils';

/** What a new cell asks, and whom. */
export interface IAsk {
  readonly model?: string;
  readonly prompt?: string;
}

/** The arguments of the command, described for whoever calls it. */
export const ASK_SCHEMA: ReadonlyJSONObject = {
  type: 'object',
  properties: {
    model: {
      type: 'string',
      description:
        'The model to ask, as %%cfai -m takes it; left out, the default model is asked'
    },
    prompt: {
      type: 'string',
      description: 'What to ask: the text under the first line of the cell'
    }
  },
  additionalProperties: false
};

// IPython expands {…} and $… in the line of a magic, so neither may come in with a name.
const MODEL_NAME = /^[@\w][\w@./:-]*$/;

/** Read the arguments of a command, which anyone may have sent. */
export function readAsk(args: ReadonlyPartialJSONObject): IAsk {
  const { model, prompt } = args;
  if (model !== undefined && !isModelName(model)) {
    throw new Error(`Not the name of a model: ${JSON.stringify(model)}`);
  }
  if (prompt !== undefined && typeof prompt !== 'string') {
    throw new Error(`Not a text to ask: ${JSON.stringify(prompt)}`);
  }
  return { model, prompt };
}

/** A cell that asks: its source, and where in it the question ends. */
export interface IQuestion {
  readonly source: string;
  readonly cursor: number;
}

/** A text to ask about, with the language it is in, as Markdown names languages. */
export interface IQuote {
  readonly text: string;
  readonly language: string;
}

/** Write a cell that asks, about the quoted texts where there are some. */
export function question(
  { model, prompt = '' }: IAsk,
  quotes: readonly IQuote[] = []
): IQuestion {
  const words = ['%%cfai'];
  if (model !== undefined) {
    words.push('-m', model);
  }
  // What a quoted text has in double braces is its own, not for the kernel to fill in.
  if (quotes.some(({ text }) => text.includes('{{'))) {
    words.push('--raw');
  }
  const asked = `${words.join(' ')}\n${prompt}`;
  const source = [asked, ...quotes.map(fenced)].join('\n\n');
  return { source, cursor: asked.length };
}

function fenced({ text, language }: IQuote): string {
  const runs = text.match(/`{3,}/g) ?? [];
  const fence = '`'.repeat(Math.max(3, ...runs.map(run => run.length + 1)));
  return `${fence}${language}\n${text}\n${fence}`;
}

function isModelName(value: unknown): value is string {
  return typeof value === 'string' && MODEL_NAME.test(value);
}
