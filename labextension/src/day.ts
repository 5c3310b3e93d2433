import { IDay } from './protocol';

export type Level = 'green' | 'amber' | 'red';

const AMBER = 0.8;

/** What is used of the day at this moment, running calls included. */
export function used({ billed, estimated, running }: IDay): number {
  return billed + estimated + running;
}

/** What is neither used nor held back. */
export function left(day: IDay): number {
  return Math.max(0, day.limit - used(day) - day.reserved);
}

/** Green, amber from 80 % on, red when all is used. */
export function level(day: IDay): Level {
  const share = day.limit > 0 ? used(day) / day.limit : 1;
  if (day.closed || share >= 1) {
    return 'red';
  }
  return share >= AMBER ? 'amber' : 'green';
}
