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

/** The source of a cell that asks. */
export function askSource({ model, prompt = '' }: IAsk): string {
  const line = model === undefined ? '%%cfai' : `%%cfai -m ${model}`;
  return `${line}\n${prompt}`;
}

function isModelName(value: unknown): value is string {
  return typeof value === 'string' && MODEL_NAME.test(value);
}
