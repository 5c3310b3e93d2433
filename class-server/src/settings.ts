/** Settings of a class and of its students, as the admin routes read and write them. */

import { badInput } from './errors';

/** A daily period in the time zone of the class. It can include midnight. */
export interface TimeWindow {
  from: string;
  to: string;
}

export interface ClassSettings {
  /** Neurons per day for all students together. */
  budget: number;
  /** Neurons per day for each student without a budget of its own. */
  share: number;
  /** Null allows all models with a known price. */
  models: string[] | null;
  /** Sent before the messages of each chat request. */
  system_prompt: string;
  max_tokens: number;
  /** Neurons to reserve for one call of a model whose cost is not known before the call. */
  bounds: Record<string, number>;
  time_zone: string;
  paused: boolean;
}

/** Null means the setting of the class. */
export interface StudentSettings {
  budget: number | null;
  expires: string | null;
  window: TimeWindow | null;
  models: string[] | null;
  max_tokens: number | null;
  requests_per_minute: number | null;
  paused: boolean;
}

type Parser<T> = (value: unknown, name: string) => T;
type Parsers<T> = { [Key in keyof T]: Parser<T[Key]> };

const MAX_NEURONS = 1e9;
const MAX_TOKENS = 131_072;
const MAX_TEXT = 20_000;
const TIME = /^([01]\d|2[0-3]):[0-5]\d$/;

export const CLASS_DEFAULTS: ClassSettings = {
  budget: 10_000,
  share: 300,
  models: null,
  system_prompt: '',
  max_tokens: 2048,
  bounds: {},
  time_zone: 'UTC',
  paused: false
};

export const STUDENT_DEFAULTS: StudentSettings = {
  budget: null,
  expires: null,
  window: null,
  models: null,
  max_tokens: null,
  requests_per_minute: null,
  paused: false
};

export const CLASS_PARSERS: Parsers<ClassSettings> = {
  budget: neurons,
  share: neurons,
  models: optional(names),
  system_prompt: text,
  max_tokens: tokens,
  bounds: neuronsByModel,
  time_zone: timeZone,
  paused: flag
};

export const STUDENT_PARSERS: Parsers<StudentSettings> = {
  budget: optional(neurons),
  expires: optional(date),
  window: optional(timeWindow),
  models: optional(names),
  max_tokens: optional(tokens),
  requests_per_minute: optional(tokens),
  paused: flag
};

/** Return the settings with the changes in a JSON object. All changes are checked first. */
export function changeSettings<T extends object>(
  settings: T,
  parsers: Parsers<T>,
  changes: Record<string, unknown>
): T {
  const changed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(changes)) {
    if (!Object.hasOwn(parsers, name)) {
      const known = Object.keys(parsers).join(', ');
      throw badInput(`${name} is not a setting. Use ${known}.`);
    }
    changed[name] = parsers[name as keyof T](value, name);
  }
  return { ...settings, ...changed };
}

function optional<T>(parse: Parser<T>): Parser<T | null> {
  return (value, name) => (value === null ? null : parse(value, name));
}

function neurons(value: unknown, name: string): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= MAX_NEURONS)) {
    throw badInput(`${name} must be a number of neurons, 0 or more.`);
  }
  return value;
}

function tokens(value: unknown, name: string): number {
  const isValid = Number.isInteger(value) && (value as number) >= 1;
  if (!isValid || (value as number) > MAX_TOKENS) {
    throw badInput(`${name} must be a whole number from 1 to ${MAX_TOKENS}.`);
  }
  return value as number;
}

function names(value: unknown, name: string): string[] {
  const isValid =
    Array.isArray(value) && value.every(item => /^@\S+$/.test(String(item)));
  if (!isValid) {
    throw badInput(`${name} must be a list of full names, such as @cf/….`);
  }
  return value.map(String);
}

function neuronsByModel(value: unknown, name: string): Record<string, number> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badInput(`${name} must map full names of models to neurons.`);
  }
  names(Object.keys(value), name);
  const entries = Object.entries(value);
  return Object.fromEntries(
    entries.map(([model, bound]) => [model, neurons(bound, name)])
  );
}

function text(value: unknown, name: string): string {
  if (typeof value !== 'string' || value.length > MAX_TEXT) {
    throw badInput(`${name} must be a text of at most ${MAX_TEXT} characters.`);
  }
  return value;
}

function flag(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') {
    throw badInput(`${name} must be true or false.`);
  }
  return value;
}

function date(value: unknown, name: string): string {
  const time = new Date(typeof value === 'string' ? value : NaN);
  if (Number.isNaN(time.getTime())) {
    throw badInput(
      `${name} must be an ISO time, such as 2027-02-01T00:00:00Z.`
    );
  }
  return time.toISOString();
}

function timeWindow(value: unknown, name: string): TimeWindow {
  const { from, to } = (value ?? {}) as Record<string, unknown>;
  const isValid = [from, to].every(
    time => typeof time === 'string' && TIME.test(time)
  );
  if (!isValid || from === to) {
    throw badInput(
      `${name} must have two times: {"from": "08:00", "to": "16:00"}.`
    );
  }
  return { from: from as string, to: to as string };
}

function timeZone(value: unknown, name: string): string {
  try {
    return new Intl.DateTimeFormat('en', {
      timeZone: String(value)
    }).resolvedOptions().timeZone;
  } catch {
    throw badInput(`${name} must be a time zone, such as Europe/Berlin.`);
  }
}
