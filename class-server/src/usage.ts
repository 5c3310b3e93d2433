/** Read the usage of an answer from its last bytes, in all formats of Workers AI. */

/** Usage that the answer reports. `neurons` is missing in some formats. */
export interface Usage {
  promptTokens: number;
  completionTokens: number;
  neurons: number | null;
}

/** The end of an answer. */
export interface Ending {
  tail: Uint8Array;
  /** Size of the answer up to the end of `tail`. */
  bytes: number;
}

type JsonObject = Record<string, unknown>;

/** Short frames are this long, so this bounds the tokens in bytes that were not read. */
const MIN_FRAME_BYTES = 32;
const MAX_FIGURE = 1e9;
/** What can follow the usage of a whole answer: scalars and empty values up to its end. */
const AFTER_USAGE =
  /^(?:\s*\}?\s*,\s*"\w+"\s*:\s*(?:null|true|false|\[\s*\]|\{\s*\}|-?[\d.eE+-]+|"[^"\\]*"))*[\s}]*$/;

/** Return the usage of a whole answer; null if it has none. */
export function parseBodyUsage({ tail, bytes }: Ending): Usage | null {
  const text = decode(tail);
  if (bytes === tail.length) {
    const body = parseObject(text);
    if (body?.['success'] === false) {
      return { promptTokens: 0, completionTokens: 0, neurons: 0 };
    }
    const result = body?.['result'] as JsonObject | null | undefined;
    return readUsage(body?.['usage'] ?? result?.['usage']);
  }
  // Quotes in the text of an answer are escaped, so the name is that of a field.
  const start = text.lastIndexOf('"usage"');
  const open = text.indexOf('{', start);
  const end = findClosingBrace(text, open);
  // The arguments of a tool call can have a field of this name, so it must be the last value.
  if (start < 0 || end < 0 || !AFTER_USAGE.test(text.slice(end))) {
    return null;
  }
  return readUsage(parseObject(text.slice(open, end)));
}

/**
 * Return the usage of a stream; null if its end has no total.
 *
 * Only a total and the first frame have prompt tokens. Frames after them report increments.
 */
export function parseStreamUsage(ending: Ending): Usage | null {
  let total: Usage | null = null;
  for (const frame of parseFrames(ending)) {
    const usage = readUsage(frame['usage']);
    if (!usage) {
      continue;
    }
    if (!('choices' in frame) && usage.promptTokens) {
      total = usage;
    } else if (usage.promptTokens) {
      total = total ? maximum(total, usage) : usage;
    } else if (total) {
      total = add(total, usage);
    }
  }
  return total;
}

/** Return the tokens of a stream, as far as it was passed on, from the size of its last frames. */
export function estimateStreamTokens(ending: Ending): number {
  let tokens = 0;
  for (const frame of parseFrames(ending)) {
    const usage = readUsage(frame['usage']);
    const isIncrement = usage !== null && usage.promptTokens === 0;
    tokens += Math.max(1, isIncrement ? usage.completionTokens : 1);
  }
  const perByte = tokens ? tokens / ending.tail.length : 1 / MIN_FRAME_BYTES;
  return Math.ceil(ending.bytes * perByte);
}

/** Return a figure that a header or a field reports; null if it is not valid. */
export function parseFigure(value: unknown): number | null {
  const isValid = typeof value === 'number' && value >= 0 && value < MAX_FIGURE;
  return isValid ? value : null;
}

function* parseFrames({ tail, bytes }: Ending): Generator<JsonObject> {
  const lines = decode(tail).split(/\r\n|\r|\n/);
  // The first line is cut off if the answer is longer than its tail.
  for (const line of bytes > tail.length ? lines.slice(1) : lines) {
    const frame = line.startsWith('data:') ? parseObject(line.slice(5)) : null;
    if (frame) {
      yield frame;
    }
  }
}

function readUsage(value: unknown): Usage | null {
  if (typeof value !== 'object' || value === null) {
    return null;
  }
  const usage = value as JsonObject;
  return {
    promptTokens:
      parseFigure(usage['prompt_tokens'] ?? usage['input_tokens']) ?? 0,
    completionTokens:
      parseFigure(usage['completion_tokens'] ?? usage['output_tokens']) ?? 0,
    neurons: parseFigure(usage['neurons'])
  };
}

function maximum(total: Usage, usage: Usage): Usage {
  return {
    promptTokens: Math.max(total.promptTokens, usage.promptTokens),
    completionTokens: Math.max(total.completionTokens, usage.completionTokens),
    neurons:
      total.neurons === null
        ? usage.neurons
        : Math.max(total.neurons, usage.neurons ?? 0)
  };
}

function add(total: Usage, usage: Usage): Usage {
  return {
    promptTokens: total.promptTokens,
    completionTokens: total.completionTokens + usage.completionTokens,
    neurons:
      total.neurons === null
        ? usage.neurons
        : total.neurons + (usage.neurons ?? 0)
  };
}

/** Return the index after the brace that closes an object; -1 if it is not closed. */
function findClosingBrace(text: string, open: number): number {
  let depth = 0;
  for (let at = open; open >= 0 && at < text.length; at++) {
    depth += text[at] === '{' ? 1 : text[at] === '}' ? -1 : 0;
    if (depth === 0) {
      return at + 1;
    }
  }
  return -1;
}

function parseObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? (value as JsonObject | null) : null;
  } catch {
    return null;
  }
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
