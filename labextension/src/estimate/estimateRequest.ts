import { expressions } from '../expressions';
import { isRaw, words } from '../cellSyntax';
import { ICellAsks, IModel } from '../protocol';
import { options, Options } from './options';

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
): ICellAsks | null {
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
