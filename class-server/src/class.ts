/** The Durable Object of a class. It owns all state, so budgets are exact at any concurrency. */

import { DurableObject } from 'cloudflare:workers';

import type { Env } from './env';
import { RefusedError, attempt, type Refusal, type Result } from './errors';
import { Ledger, type Cost, type Grant, type UsageRow } from './ledger';
import { BUNDLED_PRICES, type PriceList } from './prices';
import { RateWindows } from './rates';
import { BUNDLED_ROSTER, type Roster } from './roster';
import {
  buildPolicy,
  explainClosedDay,
  explainRate,
  explainShortage,
  findObstacle,
  nextReset,
  utcDay,
  type ModelRule,
  type Policy
} from './rules';
import {
  CLASS_DEFAULTS,
  CLASS_PARSERS,
  STUDENT_DEFAULTS,
  STUDENT_PARSERS,
  changeSettings,
  type ClassSettings,
  type StudentSettings
} from './settings';
import { Students, type Student } from './students';

/** After this time, a reservation counts in full: its call can't be settled any more. */
export const RESERVATION_MS = 10 * 60_000;

/** A call that asks for a reservation. */
export interface CallRequest {
  keyHash: string;
  model: string;
  rule: Pick<ModelRule, 'perMinute' | 'perMinuteOf'>;
  cost: Cost;
}

/** A refusal that is over after a delay, in milliseconds. */
export interface Delay {
  refusal: Refusal;
  delay: number;
}

/** The figures of GET /me, in neurons. */
export interface StudentStatus {
  name: string;
  spent: number;
  reserved: number;
  budget: number;
  reset: string;
}

export interface StudentEntry extends StudentSettings {
  name: string;
  revoked: boolean;
  spent: number;
  reserved: number;
}

export class ClassBudget extends DurableObject<Env> {
  readonly #ledger: Ledger;
  readonly #students: Students;
  readonly #rates = new RateWindows();
  #settings: ClassSettings;
  #prices: PriceList;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#ledger = new Ledger(ctx.storage.sql);
    this.#students = new Students(ctx.storage.sql);
    this.#settings = {
      ...CLASS_DEFAULTS,
      ...this.#read<ClassSettings>('settings')
    };
    this.#prices = this.#read<PriceList>('prices') ?? BUNDLED_PRICES;
    this.seed(BUNDLED_ROSTER);
  }

  /** Add the settings and students of a roster once. Those that exist stay as they are. */
  seed({ id, settings, students }: Roster): void {
    if (!id || this.#read('roster') === id) {
      return;
    }
    this.ctx.storage.transactionSync(() => {
      if (!this.#read('settings')) {
        this.#settings = changeSettings(
          CLASS_DEFAULTS,
          CLASS_PARSERS,
          settings
        );
        this.#write('settings', this.#settings);
      }
      this.#students.addMissing(students);
      this.#write('roster', id);
    });
  }

  /** Return what the owner of a key may call. */
  authenticate(keyHash: string): Result<{ policy: Policy }> {
    return attempt(() => {
      const { settings } = this.#admit(keyHash, Date.now());
      return { policy: buildPolicy(settings, this.#settings, this.#prices) };
    });
  }

  /** Reserve the maximum cost of a call, or return how long the call must wait for its turn. */
  async reserve(call: CallRequest): Promise<Result<{ grant: Grant }> | Delay> {
    const result = attempt(() =>
      this.ctx.storage.transactionSync(() => this.#reserve(call, Date.now()))
    );
    if ('grant' in result && (await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(Date.now() + RESERVATION_MS);
    }
    return result;
  }

  #reserve(call: CallRequest, now: number): { grant: Grant } | Delay {
    const { name, settings } = this.#admit(call.keyHash, now);
    const delay = this.#findDelay(name, settings, call, now);
    if (delay) {
      return delay;
    }
    const day = utcDay(now);
    const student = {
      budget: this.#budgetOf(settings),
      totals: this.#ledger.totals(day, name)
    };
    const group = {
      budget: this.#settings.budget,
      totals: this.#ledger.totals(day)
    };
    const available = Math.min(
      ...[student, group].map(
        ({ budget, totals }) => budget - totals.spent - totals.reserved
      )
    );
    const request = { day, student: name, model: call.model, cost: call.cost };
    const reservation = this.#ledger.reserve(request, available, now);
    const { spent, reserved } = student.totals;
    const share = { budget: student.budget, spent: spent + reserved };
    if (!reservation) {
      const { fixed, perToken, minTokens } = call.cost;
      const minimum = fixed + perToken * minTokens;
      const refusal = explainShortage(minimum, student, group, now);
      throw new RefusedError({ ...refusal, share });
    }
    this.#rates.take(`student ${name}`, now);
    this.#rates.take(call.rule.perMinuteOf, now);
    return { grant: { ...reservation, share } };
  }

  /** Book the neurons of a call: billed, estimated, or null for the whole reservation. */
  settle(id: number, neurons: number | null, isEstimated: boolean): void {
    this.ctx.storage.transactionSync(() =>
      this.#ledger.settle(id, neurons, isEstimated)
    );
  }

  /** Refuse all calls until 00:00 UTC, because Cloudflare does. */
  closeDay(): Refusal {
    this.#write('closed_day', utcDay(Date.now()));
    return explainClosedDay(Date.now());
  }

  /** Count old reservations in full. */
  override async alarm(): Promise<void> {
    this.ctx.storage.transactionSync(() =>
      this.#ledger.settleOlder(Date.now() - RESERVATION_MS)
    );
    const oldest = this.#ledger.oldestReservation();
    if (oldest !== null) {
      await this.ctx.storage.setAlarm(oldest + RESERVATION_MS);
    }
  }

  status(keyHash: string): Result<StudentStatus> {
    return attempt(() => {
      const now = Date.now();
      const student = this.#students.findByKey(keyHash);
      const obstacle = findObstacle(student, this.#settings, now);
      // A paused student, or one who comes too early, can still read the figures.
      if (!student || obstacle?.status === 401) {
        throw new RefusedError(obstacle as Refusal);
      }
      const { name, settings } = student;
      return {
        name,
        ...this.#ledger.totals(utcDay(now), name),
        budget: this.#budgetOf(settings),
        reset: nextReset(now)
      };
    });
  }

  listStudents(): StudentEntry[] {
    return this.#students.list().map(student => this.#toEntry(student));
  }

  addStudent(
    name: string,
    keyHash: string,
    changes: Record<string, unknown>
  ): Result<StudentEntry> {
    return attempt(() => {
      const settings = changeSettings(
        STUDENT_DEFAULTS,
        STUDENT_PARSERS,
        changes
      );
      return this.#toEntry(this.#students.add(name, keyHash, settings));
    });
  }

  renewStudent(name: string, keyHash: string): Result<StudentEntry> {
    return attempt(() => this.#toEntry(this.#students.renew(name, keyHash)));
  }

  changeStudent(
    name: string,
    changes: Record<string, unknown>
  ): Result<StudentEntry> {
    return attempt(() => {
      const { settings } = this.#students.get(name);
      const changed = changeSettings(settings, STUDENT_PARSERS, changes);
      return this.#toEntry(this.#students.change(name, changed));
    });
  }

  revokeStudent(name: string): Result<StudentEntry> {
    return attempt(() => this.#toEntry(this.#students.revoke(name)));
  }

  settings(): ClassSettings {
    return this.#settings;
  }

  changeClass(changes: Record<string, unknown>): Result<ClassSettings> {
    return attempt(() => {
      this.#settings = changeSettings(this.#settings, CLASS_PARSERS, changes);
      this.#write('settings', this.#settings);
      return this.#settings;
    });
  }

  usage(from: string, to: string): UsageRow[] {
    return this.#ledger.usage(from, to);
  }

  setPrices(prices: PriceList): void {
    this.#prices = prices;
    this.#write('prices', prices);
  }

  #admit(keyHash: string, now: number): Student {
    const student = this.#students.findByKey(keyHash);
    const obstacle = findObstacle(student, this.#settings, now);
    if (!student || obstacle) {
      throw new RefusedError(obstacle as Refusal);
    }
    if (this.#read<string>('closed_day') === utcDay(now)) {
      throw new RefusedError(explainClosedDay(now));
    }
    return student;
  }

  #findDelay(
    name: string,
    settings: StudentSettings,
    call: CallRequest,
    now: number
  ): Delay | null {
    const limits = [
      ['student', `student ${name}`, settings.requests_per_minute],
      ['account', call.rule.perMinuteOf, call.rule.perMinute]
    ] as const;
    for (const [scope, window, perMinute] of limits) {
      const delay =
        perMinute === null ? 0 : this.#rates.delay(window, perMinute, now);
      if (perMinute !== null && delay > 0) {
        return { delay, refusal: explainRate(scope, perMinute, delay) };
      }
    }
    return null;
  }

  #budgetOf(settings: StudentSettings): number {
    return settings.budget ?? this.#settings.share;
  }

  #toEntry({ name, settings, revoked }: Student): StudentEntry {
    const totals = this.#ledger.totals(utcDay(Date.now()), name);
    return { name, ...settings, revoked, ...totals };
  }

  #read<T>(name: string): T | null {
    this.ctx.storage.sql.exec(
      'CREATE TABLE IF NOT EXISTS class(name TEXT PRIMARY KEY, value TEXT NOT NULL)'
    );
    const [row] = this.ctx.storage.sql
      .exec<{ value: string }>('SELECT value FROM class WHERE name = ?', name)
      .toArray();
    return row ? (JSON.parse(row.value) as T) : null;
  }

  #write(name: string, value: unknown): void {
    this.ctx.storage.sql.exec(
      'INSERT OR REPLACE INTO class VALUES (?, ?)',
      name,
      JSON.stringify(value)
    );
  }
}
