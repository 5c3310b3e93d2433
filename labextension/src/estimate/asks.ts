import { expressions } from '../expressions';
import { isRaw, words } from '../line';
import { ICellAsks, IModel } from '../protocol';
import { options, Options } from './options';

// A further field may be anything, functions ask any number of times, tasks have other prices.
const UNKNOWN = ['--param', '--tools', '--task'];

/** Whether the line of a question names a model, so that the list of them is needed. */
export function namesModel(source: string): boolean {
  return Boolean(parsed(source)?.has('--model'));
}

/**
 * What may be asked of a cell that asks: sizes of its texts, and a model out of the list. Neither
 * its text nor anything else that was typed is in it. Null where the kernel would refuse the line.
 */
export function asks(
  source: string,
  models: readonly IModel[]
): ICellAsks | null {
  const found = parsed(source);
  if (found === null || UNKNOWN.some(flag => found.has(flag))) {
    return null;
  }
  const names = found.get('--model') ?? [];
  const listed = names.flatMap(name => modelOf(name, models) ?? []);
  const temperatures = last(found, '--temperature')?.split(',') ?? [''];
  const times = numberOf(last(found, '--times'), /^\d+$/) ?? 1;
  const tokens = numberOf(last(found, '--max-tokens'), /^\d+$/);
  const most = numberOf(last(found, '--max-neurons'), /^\d*\.?\d+$/);
  const numbers = [times, tokens, most, ...temperatures.map(Number)];
  if (listed.length < names.length || numbers.some(Number.isNaN)) {
    return null;
  }
  const system = last(found, '--system') ?? '';
  return {
    models: listed,
    times: times * temperatures.length,
    texts: [...(system ? [system] : []), below(source)].map(size),
    system: Boolean(system),
    images: found.get('--image')?.length ?? 0,
    max_tokens: tokens,
    max_neurons: most
  };
}

/** Whether the kernel would put values into the text of a question, whose sizes nobody knows yet. */
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

function last(found: Options, flag: string): string | undefined {
  return found.get(flag)?.slice(-1)[0];
}

function numberOf(text: string | undefined, form: RegExp): number | null {
  if (text === undefined) {
    return null;
  }
  return form.test(text) ? Number(text) : NaN;
}

/** The full name of a listed model, as the kernel finds it; null where it is none or several. */
function modelOf(named: string, models: readonly IModel[]): string | null {
  const exact = models.filter(
    ({ name }) => name === named || name.endsWith(`/${named}`)
  );
  const ending = models.filter(({ name }) => name.endsWith(named));
  const [only, ...others] = exact.length ? exact : ending;
  return only && !others.length ? only.name : null;
}

function size(text: string): [number, number] {
  return [[...text].length, new TextEncoder().encode(text).length];
}
