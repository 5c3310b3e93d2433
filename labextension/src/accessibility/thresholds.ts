import { TranslationBundle } from '@jupyterlab/translation';

import { level, Level, used } from '../dayUsage';
import { neurons, whole } from '../format';
import { IDay } from '../protocol';

const ORDER: readonly Level[] = ['green', 'amber', 'red'];

/** Announces the neuron counter only when it passes 80 and 100 percent. */
export class Thresholds {
  constructor(private readonly _trans: TranslationBundle) {}

  /** Return the announcement for a new usage; null if it passed no threshold. */
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
        "Cloudflare reports that today's free neurons are used up. They reset at 00:00 UTC."
      );
    }
    const figures = [neurons(used(day)), whole(day.limit)];
    return now === 'red'
      ? trans.__("All of today's neurons are used: %1 of %2", ...figures)
      : trans.__(
          "80 percent of today's neurons are used: %1 of %2",
          ...figures
        );
  }

  private _level: Level | null = null;
}
