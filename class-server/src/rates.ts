/** Limits of requests per minute. */

const WINDOW_MS = 60_000;

/**
 * The times of the requests of the last minute, for each limit.
 *
 * They are in memory: a limit per minute protects other students from waiting, not the budget.
 */
export class RateWindows {
  readonly #times = new Map<string, number[]>();

  /** Return the milliseconds until a request fits the limit; 0 if it fits now. */
  delay(name: string, perMinute: number, now: number): number {
    const times = (this.#times.get(name) ?? []).filter(
      time => time > now - WINDOW_MS
    );
    this.#times.set(name, times);
    const blocking = times[times.length - perMinute];
    return blocking === undefined ? 0 : blocking + WINDOW_MS - now;
  }

  /** Count a request. */
  take(name: string, now: number): void {
    const times = this.#times.get(name) ?? [];
    this.#times.set(name, [...times, now]);
  }
}
