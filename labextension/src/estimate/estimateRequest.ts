import { findExpressions, hasRawFlag, splitWords } from '../cellSyntax';
import { IEstimateRequest, IModel } from '../protocol';

// --param can change anything, --tools sends any number of requests, tasks have other prices.
const NOT_ESTIMATED = ['--param', '--tools', '--task'];

/** The options of the first line of a %%cfai cell, by long name. */
type Options = ReadonlyMap<string, readonly string[]>;

// Like ASK_OPTIONS of the kernel. --thread has an optional value.
const LONG_NAMES: Readonly<Record<string, string>> = {
  '-m': '--model',
  '-s': '--system',
  '-c': '--thread',
  '-t': '--temperature',
  '-n': '--times',
  '-p': '--param',
  '-o': '--output',
  '-f': '--format',
  '-x': '--extract'
};
const WITH_VALUE = new Set([
  '--model',
  '--system',
  '--image',
  '--temperature',
  '--times',
  '--max-tokens',
  '--top-p',
  '--seed',
  '--stop',
  '--param',
  '--output',
  '--format',
  '--schema',
  '--tools',
  '--max-steps',
  '--task',
  '--from',
  '--to',
  '--save',
  '--max-neurons',
  '--gateway',
  '--footer'
]);
const WITHOUT_VALUE = new Set([
  '--raw',
  '--allow-tools',
  '--extract',
  '--think',
  '--no-stream',
  '--dry-run',
  '--sent'
]);
const LIKE_A_FLAG = /^-(?![\d.]+$)\S+$/;

/** Return true if the first line of a cell selects a model, so the model list is needed. */
export function namesModel(source: string): boolean {
  return Boolean(parseFirstLine(source)?.has('--model'));
}

/**
 * Return the estimate request of a cell: text sizes and listed models, but no typed text. Returns
 * null if the kernel would refuse the line, or if its cost cannot be estimated.
 */
export function toEstimateRequest(
  source: string,
  models: readonly IModel[]
): IEstimateRequest | null {
  const parsedOptions = parseFirstLine(source);
  if (
    parsedOptions === null ||
    NOT_ESTIMATED.some(flag => parsedOptions.has(flag))
  ) {
    return null;
  }
  const names = parsedOptions.get('--model') ?? [];
  const listed = names.flatMap(name => findModel(name, models) ?? []);
  const temperatures = lastValue(parsedOptions, '--temperature')?.split(
    ','
  ) ?? [''];
  const times = parseNumber(lastValue(parsedOptions, '--times'), /^\d+$/) ?? 1;
  const tokens = parseNumber(lastValue(parsedOptions, '--max-tokens'), /^\d+$/);
  const maxNeurons = parseNumber(
    lastValue(parsedOptions, '--max-neurons'),
    /^\d*\.?\d+$/
  );
  const numbers = [times, tokens, maxNeurons, ...temperatures.map(Number)];
  if (listed.length < names.length || numbers.some(Number.isNaN)) {
    return null;
  }
  const system = lastValue(parsedOptions, '--system') ?? '';
  return {
    models: listed,
    times: times * temperatures.length,
    texts: [...(system ? [system] : []), promptOf(source)].map(textSize),
    system: Boolean(system),
    images: parsedOptions.get('--image')?.length ?? 0,
    max_tokens: tokens,
    max_neurons: maxNeurons
  };
}

/** Return true if a prompt contains {{…}}, whose values have an unknown size. */
export function hasExpressions(source: string): boolean {
  const [line] = source.split('\n', 1);
  return !hasRawFlag(line) && findExpressions(promptOf(source)).length > 0;
}

function parseFirstLine(source: string): Options | null {
  const line = source.split('\n', 1)[0];
  return source.includes('\n') ? parseOptions(splitWords(line).slice(1)) : null;
}

function promptOf(source: string): string {
  return source.slice(source.indexOf('\n') + 1);
}

function lastValue(parsedOptions: Options, flag: string): string | undefined {
  return parsedOptions.get(flag)?.slice(-1)[0];
}

function parseNumber(text: string | undefined, form: RegExp): number | null {
  if (text === undefined) {
    return null;
  }
  return form.test(text) ? Number(text) : NaN;
}

/** Return the full name of a listed model, like the kernel; null if it is unknown or ambiguous. */
function findModel(
  typedName: string,
  models: readonly IModel[]
): string | null {
  const exact = models.filter(
    ({ name }) => name === typedName || name.endsWith(`/${typedName}`)
  );
  const ending = models.filter(({ name }) => name.endsWith(typedName));
  const [only, ...others] = exact.length ? exact : ending;
  return only && !others.length ? only.name : null;
}

function textSize(text: string): [number, number] {
  return [[...text].length, new TextEncoder().encode(text).length];
}

/** Parse the words after the magic; null if the kernel would refuse them. */
function parseOptions(words: readonly string[]): Options | null {
  const parsed = new Map<string, string[]>();
  for (let index = 0; index < words.length; index++) {
    const { flag, attached } = splitFlag(words[index]);
    const next = words[index + 1];
    const hasNext = next !== undefined && !LIKE_A_FLAG.test(next);
    let value = attached;
    if (value === undefined && hasNext && !WITHOUT_VALUE.has(flag)) {
      value = next;
      index++;
    }
    if (!isValidOption(flag, value)) {
      return null;
    }
    parsed.set(flag, [...(parsed.get(flag) ?? []), value ?? '']);
  }
  return parsed;
}

function splitFlag(word: string): { flag: string; attached?: string } {
  const [, long, value] = /^(--[\w-]+)(?:=([^]*))?$/.exec(word) ?? [];
  if (long) {
    return { flag: long, attached: value };
  }
  const [, short, rest] = /^(-[A-Za-z])=?([^]*)$/.exec(word) ?? [];
  return { flag: LONG_NAMES[short] ?? word, attached: rest || undefined };
}

function isValidOption(flag: string, value: string | undefined): boolean {
  if (WITHOUT_VALUE.has(flag)) {
    return value === undefined;
  }
  return flag === '--thread' || (WITH_VALUE.has(flag) && value !== undefined);
}
