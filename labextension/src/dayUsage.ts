import { TranslationBundle } from '@jupyterlab/translation';

import { BillingTarget, IDayUsage, IState } from './protocol';

export type Level = 'green' | 'amber' | 'red';

const AMBER = 0.8;

/** Return the neurons used today, including running calls and those of other computers. */
export function usedNeurons(day: IDayUsage): number {
  return day.billed + day.estimated + day.running + (day.elsewhere ?? 0);
}

/** Return the remaining neurons: limit − used − reserved, at least 0. */
export function remaining(day: IDayUsage): number {
  return Math.max(0, day.limit - usedNeurons(day) - day.reserved);
}

/** Return the level: green, amber from 80 %, or red if the limit or the quota is used up. */
export function level(day: IDayUsage): Level {
  const share = day.limit > 0 ? usedNeurons(day) / day.limit : 1;
  if (day.closed || share >= 1) {
    return 'red';
  }
  return share >= AMBER ? 'amber' : 'green';
}

/** The text of the status bar item and its level. */
export interface IStatus {
  readonly level: Level | 'none';
  readonly text: string;
}

/** Return the number of neurons, and the level in words for users who can't see the color. */
export function formatStatus(
  { payer, day }: IState,
  trans: TranslationBundle
): IStatus {
  if (day === null) {
    return { level: 'none', text: uncountedText(payer, trans) };
  }
  const text = trans.__(
    '%1 / %2 neurons',
    formatNeurons(usedNeurons(day)),
    formatInteger(day.limit)
  );
  const source = day.source === 'class' ? trans.__('class budget') : '';
  const words = levelLabel(day, trans);
  return {
    level: level(day),
    text: [text, source, words].filter(Boolean).join(' · ')
  };
}

/** Return a sentence with the neurons used today, the limit, and who set it. */
export function formatUsed(day: IDayUsage, trans: TranslationBundle): string {
  const used = formatNeurons(usedNeurons(day));
  const limit = formatInteger(day.limit);
  switch (day.source) {
    case 'class':
      return trans.__(
        '%1 of your class budget of %2 neurons used today',
        used,
        limit
      );
    case 'course':
      return trans.__(
        '%1 of the course budget of %2 neurons used today',
        used,
        limit
      );
    case 'user':
      return trans.__(
        '%1 of your budget of %2 neurons used today',
        used,
        limit
      );
    default:
      return trans.__('%1 of %2 neurons used today', used, limit);
  }
}

/** Return the level in words; "" for green. */
export function levelLabel(day: IDayUsage, trans: TranslationBundle): string {
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

function uncountedText(payer: BillingTarget, trans: TranslationBundle): string {
  switch (payer) {
    case 'class':
      return trans.__('Class server: budget unknown');
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
export function tooltip(state: IState, trans: TranslationBundle): string {
  if (state.day === null) {
    return trans.__('Where this notebook sends prompts');
  }
  return state.day.source === 'class'
    ? trans.__('Neurons of your class budget used today. Click for details.')
    : trans.__('Neurons used today. Click for details.');
}

/** Return the time of the daily reset, in UTC and in local time. */
export function formatResetTime(
  day: IDayUsage,
  now: number,
  trans: TranslationBundle
): string {
  const minutes = Math.max(0, Math.floor((day.resets - now) / 60));
  return trans.__(
    'Resets at 00:00 UTC (%1 local time), in %2 h %3 min.',
    formatTime(day.resets),
    Math.floor(minutes / 60),
    minutes % 60
  );
}

/** Format a number of neurons with its significant digits, like the kernel. */
export function formatNeurons(amount: number): string {
  if (amount === 0 || amount >= 100) {
    return formatInteger(amount);
  }
  return amount >= 1
    ? amount.toFixed(1)
    : String(Number(amount.toPrecision(2)));
}

/** Format a number without its fraction. */
export function formatInteger(amount: number): string {
  return Math.round(amount).toLocaleString('en-US');
}

/** Format seconds since 1970 as hours and minutes, in local time or in a time zone. */
export function formatTime(moment: number, timeZone?: string): string {
  return new Date(moment * 1000).toLocaleTimeString('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    timeZone
  });
}
