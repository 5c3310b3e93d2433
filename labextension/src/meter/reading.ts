import { TranslationBundle } from '@jupyterlab/translation';

import { level, Level, used } from '../day';
import { clock, neurons, whole } from '../format';
import { IDay, IState } from '../protocol';

/** What the meter shows. */
export interface IReading {
  readonly level: Level | 'none';
  readonly text: string;
}

/** The figure, and in words what its colour says. */
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

/** What the colour says; nothing while enough is left. */
export function inWords(day: IDay, trans: TranslationBundle): string {
  if (day.closed) {
    return trans.__('closed by Cloudflare');
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
      return trans.__('No neurons: on this machine');
    case 'elsewhere':
      return trans.__('No neurons: another server');
    case 'nobody':
      return trans.__('Workers AI: no account');
    default:
      return trans.__('Neurons unknown');
  }
}

/** What the figure is. */
export function caption(state: IState, trans: TranslationBundle): string {
  return state.day === null
    ? trans.__('Where questions of this notebook go')
    : trans.__('Neurons used today; click for more');
}

/** When the day begins anew, here and in UTC, and in how long. */
export function resetClock(
  day: IDay,
  now: number,
  trans: TranslationBundle
): string {
  const minutes = Math.max(0, Math.floor((day.resets - now) / 60));
  return trans.__(
    'Resets at 00:00 UTC (%1 here), in %2 h %3 min.',
    clock(day.resets),
    Math.floor(minutes / 60),
    minutes % 60
  );
}
