/** Which students may call which models, and when. */

import { CODES, type Refusal } from './errors';
import type { Totals } from './ledger';
import { tokenPrice, type PriceList, type TokenPrice } from './prices';
import type { ClassSettings, StudentSettings, TimeWindow } from './settings';
import type { Student } from './students';

/** What a student may call. */
export interface Policy {
  systemPrompt: string;
  maxTokens: number;
  models: Record<string, ModelRule>;
}

export interface ModelRule {
  task: string;
  price: TokenPrice | null;
  /** Neurons that the teacher reserves for one call. */
  bound: number | null;
  perMinute: number | null;
  perMinuteOf: string;
}

const DAY_MS = 86_400_000;

export function utcDay(now: number): string {
  return new Date(now).toISOString().slice(0, 10);
}

/** Return the time at which the budgets of the next day start. */
export function nextReset(now: number): string {
  return `${utcDay(now + DAY_MS)}T00:00:00Z`;
}

/** Return why a student cannot call the server now, or null. */
export function findObstacle(
  student: Student | undefined,
  settings: ClassSettings,
  now: number
): Refusal | null {
  const key = {
    status: 401,
    code: CODES.authentication,
    scope: 'student'
  } as const;
  if (!student) {
    const message =
      'The key is not valid for this class. Ask your teacher for a new one.';
    return { ...key, message };
  }
  if (student.revoked) {
    return {
      ...key,
      message: 'Your key was revoked. Ask your teacher for a new one.'
    };
  }
  const { expires, window, paused } = student.settings;
  if (expires !== null && now >= Date.parse(expires)) {
    const message = `Your key expired at ${expires}. Ask your teacher to renew it.`;
    return { ...key, message };
  }
  const rule = { status: 403, code: CODES.classRule } as const;
  if (settings.paused) {
    const message =
      'Your teacher paused the class. Continue when the class resumes.';
    return { ...rule, scope: 'class', message };
  }
  if (paused) {
    const message =
      'Your teacher paused your key. Ask your teacher to resume it.';
    return { ...rule, scope: 'student', message };
  }
  if (window !== null && !isInWindow(window, settings.time_zone, now)) {
    const message = `Your key works from ${window.from} to ${window.to} (${settings.time_zone}). Continue then.`;
    return { ...rule, scope: 'student', message };
  }
  return null;
}

function isInWindow(
  window: TimeWindow,
  timeZone: string,
  now: number
): boolean {
  const time = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23'
  }).format(now);
  return window.from < window.to
    ? window.from <= time && time < window.to
    : window.from <= time || time < window.to;
}

export function buildPolicy(
  student: StudentSettings,
  settings: ClassSettings,
  prices: PriceList
): Policy {
  const all = { ...prices };
  for (const model of Object.keys(settings.bounds)) {
    all[model] ??= {
      task: '',
      input: null,
      output: null,
      perMinute: null,
      perMinuteOf: ''
    };
  }
  const models: Record<string, ModelRule> = {};
  for (const [model, price] of Object.entries(all)) {
    const rule = {
      task: price.task,
      price: tokenPrice(price),
      bound: settings.bounds[model] ?? null,
      perMinute: price.perMinute,
      perMinuteOf: price.perMinuteOf
    };
    const isPriced = rule.price !== null || rule.bound !== null;
    const isInClass = settings.models?.includes(model) ?? isPriced;
    if (isInClass && (student.models?.includes(model) ?? true)) {
      models[model] = rule;
    }
  }
  return {
    systemPrompt: settings.system_prompt,
    maxTokens: student.max_tokens ?? settings.max_tokens,
    models
  };
}

/** Return why the cost of a call does not fit, from the neurons that are left. */
export function explainShortage(
  minimum: number,
  student: { budget: number; totals: Totals },
  group: { budget: number; totals: Totals },
  now: number
): Refusal {
  const left = (of: { budget: number; totals: Totals }) =>
    of.budget - of.totals.spent;
  const isStudent = left(student) < minimum || left(student) <= left(group);
  const [scope, tight] = isStudent
    ? (['student', student] as const)
    : (['class', group] as const);
  const owner = isStudent ? 'Your share' : 'The budget of the class';
  const remaining = Math.max(0, left(tight));
  const figures = `${owner} is ${format(tight.budget)} neurons a day`;
  if (remaining >= minimum) {
    return {
      status: 429,
      code: CODES.perMinute,
      scope,
      retryAfter: 5,
      message: `${figures}, and other answers that are still running reserve the rest. Waiting for the class: try again in a few seconds.`
    };
  }
  const until = nextReset(now);
  const isUsedUp = remaining < 1;
  return {
    status: 429,
    // Clients send nothing more today after this code, so it is for an empty budget only.
    code: isUsedUp ? CODES.dailyQuota : CODES.classRule,
    scope,
    until,
    message: isUsedUp
      ? `${figures}, and it is used up until 00:00 UTC. Continue then, or ask your teacher for more.`
      : `${figures}. This call can cost ${format(minimum)}, and ${format(remaining)} are left until 00:00 UTC. Shorten the prompt, or choose a cheaper model.`
  };
}

export function explainClosedDay(now: number): Refusal {
  return {
    status: 429,
    code: CODES.dailyQuota,
    scope: 'account',
    until: nextReset(now),
    message:
      'The free neurons of the account that the class shares are used up until 00:00 UTC. Continue then.'
  };
}

export function explainRate(
  scope: 'student' | 'account',
  perMinute: number,
  delay: number
): Refusal {
  const owner =
    scope === 'student' ? 'Your key' : 'The account that the class shares';
  const seconds = Math.ceil(delay / 1000);
  return {
    status: 429,
    code: CODES.perMinute,
    scope,
    retryAfter: seconds,
    message: `${owner} allows ${perMinute} requests per minute. Waiting for the class: try again in ${seconds} s.`
  };
}

function format(neurons: number): string {
  return neurons.toLocaleString('en-US', { maximumFractionDigits: 1 });
}
