import { TranslationBundle } from '@jupyterlab/translation';

import { level, Level, used } from '../dayUsage';
import { clock, neurons, whole } from '../format';
import { IDay, IState } from '../protocol';

/** The text of the status bar item and its level. */
export interface IReading {
  readonly level: Level | 'none';
  readonly text: string;
}

/** Return the number of neurons, and the level in words for users who can't see the color. */
export function reading(
  { payer, day }: IState,
  trans: TranslationBundle
): IReading {
  if (day === null) {
    return { level: 'none', text: uncounted(payer, trans) };
  }
  const text = trans.__(
    '%1 / %2 neurons',
    neurons(used(day)),
    whole(day.limit)
  );
  const words = inWords(day, trans);
  return { level: level(day), text: words ? `${text} · ${words}` : text };
}

/** Return the level in words; "" for green. */
export function inWords(day: IDay, trans: TranslationBundle): string {
  if (day.closed) {
    return trans.__('quota used up at Cloudflare');
  }
  switch (level(day)) {
    case 'red':
      return trans.__('used up');
    case 'amber':
      return trans.__('running low');
    case 'green':
      return '';
  }
}

function uncounted(payer: IState['payer'], trans: TranslationBundle): string {
  switch (payer) {
    case 'local':
      return trans.__('No neurons: model on this machine');
    case 'elsewhere':
      return trans.__('No neurons: another server');
    case 'none':
      return trans.__('Workers AI: no account');
    default:
      return trans.__('Workers AI: usage unknown');
  }
}

/** Return the tooltip of the status bar item. */
export function caption(state: IState, trans: TranslationBundle): string {
  return state.day === null
    ? trans.__('Where this notebook sends prompts')
    : trans.__('Neurons used today. Click for details.');
}

/** Return the time of the daily reset, in UTC and in local time. */
export function resetClock(
  day: IDay,
  now: number,
  trans: TranslationBundle
): string {
  const minutes = Math.max(0, Math.floor((day.resets - now) / 60));
  return trans.__(
    'Resets at 00:00 UTC (%1 local time), in %2 h %3 min.',
    clock(day.resets),
    Math.floor(minutes / 60),
    minutes % 60
  );
}
