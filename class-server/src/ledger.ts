/** The neurons that each student spent and reserved, by UTC day. */

import type { Share } from './share';

/** Neurons of the answers so far, and of the calls that still run. */
export interface Totals {
  spent: number;
  reserved: number;
}

/** The maximum cost of a call. */
export interface Cost {
  /** Neurons of the prompt, or of the whole call if `perToken` is 0. */
  fixed: number;
  perToken: number;
  maxTokens: number;
  /** An answer of fewer tokens is refused instead of being shortened. */
  minTokens: number;
}

export interface Reservation {
  id: number;
  maxTokens: number;
  neurons: number;
}

/** A call that may be sent. */
export interface Grant extends Reservation {
  share: Share;
}

/** A usage row of the admin routes. */
export interface UsageRow {
  day: string;
  student: string;
  model: string;
  calls: number;
  neurons: number;
  /** The part of `neurons` that the server estimated. */
  estimated: number;
}

/** Tolerance for rounding errors, in neurons. */
const SLACK = 1e-9;

export class Ledger {
  constructor(private readonly sql: SqlStorage) {
    sql.exec(`
      CREATE TABLE IF NOT EXISTS spent(
        day TEXT NOT NULL, student TEXT NOT NULL, model TEXT NOT NULL, calls INTEGER NOT NULL,
        neurons REAL NOT NULL, estimated REAL NOT NULL, PRIMARY KEY(day, student, model)
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS reservations(
        id INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT NOT NULL, student TEXT NOT NULL,
        model TEXT NOT NULL, neurons REAL NOT NULL, since INTEGER NOT NULL
      );
    `);
  }

  /** Return the totals of a student, or of the class if no student is given. */
  totals(day: string, student: string | null = null): Totals {
    return this.sql
      .exec<{ spent: number; reserved: number }>(
        `SELECT
          (SELECT TOTAL(neurons) FROM spent
            WHERE day = ?1 AND (?2 IS NULL OR student = ?2)) AS spent,
          (SELECT TOTAL(neurons) FROM reservations
            WHERE day = ?1 AND (?2 IS NULL OR student = ?2)) AS reserved`,
        day,
        student
      )
      .one();
  }

  /** Reserve the maximum cost of a call, with a shorter answer if only that fits. */
  reserve(
    call: { day: string; student: string; model: string; cost: Cost },
    available: number,
    now: number
  ): Reservation | null {
    const { fixed, perToken, maxTokens, minTokens } = call.cost;
    const affordable = perToken
      ? Math.floor((available - fixed + SLACK) / perToken)
      : maxTokens;
    const granted = Math.min(maxTokens, affordable);
    const neurons = fixed + perToken * granted;
    if (granted < minTokens || neurons > available + SLACK) {
      return null;
    }
    const { id } = this.sql
      .exec<{ id: number }>(
        `INSERT INTO reservations(day, student, model, neurons, since) VALUES (?, ?, ?, ?, ?)
          RETURNING id`,
        call.day,
        call.student,
        call.model,
        neurons,
        now
      )
      .one();
    return { id, maxTokens: granted, neurons };
  }

  /**
   * Replace a reservation with the cost of the call. An estimate is at most the reservation, and
   * null is all of it. A reservation that is settled already stays as it is.
   */
  settle(id: number, neurons: number | null, isEstimated: boolean): void {
    const [row] = this.sql
      .exec<{ day: string; student: string; model: string; neurons: number }>(
        'DELETE FROM reservations WHERE id = ? RETURNING day, student, model, neurons',
        id
      )
      .toArray();
    if (!row) {
      return;
    }
    const estimate = Math.min(neurons ?? row.neurons, row.neurons);
    const isBilled = neurons !== null && !isEstimated;
    this.sql.exec(
      `INSERT INTO spent VALUES (?1, ?2, ?3, 1, ?4, ?5)
        ON CONFLICT DO UPDATE SET calls = calls + 1, neurons = neurons + ?4,
          estimated = estimated + ?5`,
      row.day,
      row.student,
      row.model,
      isBilled ? neurons : estimate,
      isBilled ? 0 : estimate
    );
  }

  /** Count the reservations that were made before a time in full. */
  settleOlder(before: number): void {
    const rows = this.sql
      .exec<{ id: number }>(
        'SELECT id FROM reservations WHERE since <= ?',
        before
      )
      .toArray();
    for (const { id } of rows) {
      this.settle(id, null, true);
    }
  }

  /** Return the time of the oldest reservation, or null. */
  oldestReservation(): number | null {
    return this.sql
      .exec<{ since: number | null }>(
        'SELECT MIN(since) AS since FROM reservations'
      )
      .one().since;
  }

  /** Return the usage of each student and model, for a range of days. */
  usage(from: string, to: string): UsageRow[] {
    const rows = this.sql.exec(
      `SELECT day, student, model, calls, neurons, estimated FROM spent
        WHERE day BETWEEN ? AND ? ORDER BY day, student, model`,
      from,
      to
    );
    return rows.toArray() as unknown as UsageRow[];
  }
}
