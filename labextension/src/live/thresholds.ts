import { TranslationBundle } from '@jupyterlab/translation';

import { level, Level, used } from '../day';
import { neurons, whole } from '../format';
import { IDay } from '../protocol';

const ORDER: readonly Level[] = ['green', 'amber', 'red'];

/** Tells of the counter only when it passes 80 and 100 per cent. */
export class Thresholds {
  constructor(private readonly _trans: TranslationBundle) {}

  /** What to tell of a day; nothing where no threshold was passed. */
  next(day: IDay): string | null {
    const [before, now] = [this._level, level(day)];
    this._level = now;
    if (before === null || ORDER.indexOf(now) <= ORDER.indexOf(before)) {
      return null;
    }
    return this._line(day, now);
  }

  private _line(day: IDay, now: Level): string {
    const trans = this._trans;
    if (day.closed) {
      return trans.__(
        'Cloudflare has closed the day: no more neurons before 00:00 UTC'
      );
    }
    const figures = [neurons(used(day)), whole(day.limit)];
    return now === 'red'
      ? trans.__('All of today’s neurons are used: %1 of %2', ...figures)
      : trans.__(
          '80 percent of today’s neurons are used: %1 of %2',
          ...figures
        );
  }

  private _level: Level | null = null;
}
