import { expressions, isRaw, words } from '../cellSyntax';
import { IEstimateRequest, IModel } from '../protocol';

// --param can change anything, --tools sends any number of requests, tasks have other prices.
const NOT_ESTIMATED = ['--param', '--tools', '--task'];

/** Return true if the first line of a cell selects a model, so the model list is needed. */
export function namesModel(source: string): boolean {
  return Boolean(parsed(source)?.has('--model'));
}

/**
 * Return the estimate request of a cell: text sizes and listed models, but no typed text. Returns
 * null if the kernel would refuse the line, or if its cost cannot be estimated.
 */
export function asks(
  source: string,
  models: readonly IModel[]
): IEstimateRequest | null {
  const parsedOptions = parsed(source);
  if (
    parsedOptions === null ||
    NOT_ESTIMATED.some(flag => parsedOptions.has(flag))
  ) {
    return null;
  }
  const names = parsedOptions.get('--model') ?? [];
  const listed = names.flatMap(name => modelOf(name, models) ?? []);
  const temperatures = last(parsedOptions, '--temperature')?.split(',') ?? [''];
  const times = numberOf(last(parsedOptions, '--times'), /^\d+$/) ?? 1;
  const tokens = numberOf(last(parsedOptions, '--max-tokens'), /^\d+$/);
  const maxNeurons = numberOf(
    last(parsedOptions, '--max-neurons'),
    /^\d*\.?\d+$/
  );
  const numbers = [times, tokens, maxNeurons, ...temperatures.map(Number)];
  if (listed.length < names.length || numbers.some(Number.isNaN)) {
    return null;
  }
  const system = last(parsedOptions, '--system') ?? '';
  return {
    models: listed,
    times: times * temperatures.length,
    texts: [...(system ? [system] : []), below(source)].map(size),
    system: Boolean(system),
    images: parsedOptions.get('--image')?.length ?? 0,
    max_tokens: tokens,
    max_neurons: maxNeurons
  };
}

/** Return true if a prompt contains {{…}}, whose values have an unknown size. */
export function hasValues(source: string): boolean {
  const [line] = source.split('\n', 1);
  return !isRaw(line) && expressions(below(source)).length > 0;
}

function parsed(source: string): Options | null {
  const line = source.split('\n', 1)[0];
  return source.includes('\n') ? options(words(line).slice(1)) : null;
}

function below(source: string): string {
  return source.slice(source.indexOf('\n') + 1);
}

function last(parsedOptions: Options, flag: string): string | undefined {
  return parsedOptions.get(flag)?.slice(-1)[0];
}

function numberOf(text: string | undefined, form: RegExp): number | null {
  if (text === undefined) {
    return null;
  }
  return form.test(text) ? Number(text) : NaN;
}

/** Return the full name of a listed model, like the kernel; null if it is unknown or ambiguous. */
function modelOf(typedName: string, models: readonly IModel[]): string | null {
  const exact = models.filter(
    ({ name }) => name === typedName || name.endsWith(`/${typedName}`)
  );
  const ending = models.filter(({ name }) => name.endsWith(typedName));
  const [only, ...others] = exact.length ? exact : ending;
  return only && !others.length ? only.name : null;
}

function size(text: string): [number, number] {
  return [[...text].length, new TextEncoder().encode(text).length];
}

/** The options of the first line of a %%cfai cell, by long name. */
export type Options = ReadonlyMap<string, readonly string[]>;

// Like ASK_OPTIONS of the kernel. --thread has an optional value.
const LONG: Readonly<Record<string, string>> = {
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
const VALUED = new Set([
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
const BARE = new Set([
  '--raw',
  '--allow-tools',
  '--extract',
  '--think',
  '--no-stream',
  '--dry-run',
  '--sent'
]);
const LIKE_A_FLAG = /^-(?![\d.]+$)\S+$/;

/** Parse the words after the magic; null if the kernel would refuse them. */
export function options(words: readonly string[]): Options | null {
  const parsed = new Map<string, string[]>();
  for (let index = 0; index < words.length; index++) {
    const { flag, glued } = split(words[index]);
    const next = words[index + 1];
    const free = next !== undefined && !LIKE_A_FLAG.test(next);
    let value = glued;
    if (value === undefined && free && !BARE.has(flag)) {
      value = next;
      index++;
    }
    if (!fits(flag, value)) {
      return null;
    }
    parsed.set(flag, [...(parsed.get(flag) ?? []), value ?? '']);
  }
  return parsed;
}

function split(word: string): { flag: string; glued?: string } {
  const [, long, value] = /^(--[\w-]+)(?:=([^]*))?$/.exec(word) ?? [];
  if (long) {
    return { flag: long, glued: value };
  }
  const [, short, rest] = /^(-[A-Za-z])=?([^]*)$/.exec(word) ?? [];
  return { flag: LONG[short] ?? word, glued: rest || undefined };
}

function fits(flag: string, value: string | undefined): boolean {
  if (BARE.has(flag)) {
    return value === undefined;
  }
  return flag === '--thread' || (VALUED.has(flag) && value !== undefined);
}
