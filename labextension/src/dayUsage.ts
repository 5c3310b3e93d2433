import { IDay } from './protocol';

export type Level = 'green' | 'amber' | 'red';

const AMBER = 0.8;

/** Return the neurons used today, including running calls. */
export function used({ billed, estimated, running }: IDay): number {
  return billed + estimated + running;
}

/** Return the remaining neurons: limit − used − reserved, at least 0. */
export function left(day: IDay): number {
  return Math.max(0, day.limit - used(day) - day.reserved);
}

/** Return the level: green, amber from 80 %, or red if the limit or the quota is used up. */
export function level(day: IDay): Level {
  const share = day.limit > 0 ? used(day) / day.limit : 1;
  if (day.closed || share >= 1) {
    return 'red';
  }
  return share >= AMBER ? 'amber' : 'green';
}
