import { TranslationBundle } from '@jupyterlab/translation';

import {
  formatInteger,
  formatNeurons,
  formatResetTime,
  formatStatus,
  formatUsed,
  level,
  remaining,
  tooltip,
  usedNeurons
} from '../dayUsage';
import { IDayUsage, IState } from '../protocol';

const trans = {
  __: (text: string, ...values: unknown[]) =>
    text.replace(/%(\d)/g, (_, number) => String(values[Number(number) - 1]))
} as TranslationBundle;
const day: IDayUsage = {
  billed: 3000,
  estimated: 100,
  running: 20,
  reserved: 80,
  limit: 10000,
  closed: false,
  resets: 1793404800,
  account: null
};
const state = (changes: Partial<IDayUsage>): IState => ({
  type: 'state',
  payer: 'account',
  model: '@cf/x/y',
  day: { ...day, ...changes }
});

describe('the day usage', () => {
  it('counts running neurons as used, and reserved ones as not left', () => {
    expect(usedNeurons(day)).toBe(3120);
    expect(remaining(day)).toBe(6800);
    expect(remaining({ ...day, limit: 10 })).toBe(0);
  });

  it('counts neurons from other devices as used', () => {
    expect(usedNeurons({ ...day, elsewhere: 500 })).toBe(3620);
    expect(remaining({ ...day, elsewhere: 500 })).toBe(6300);
  });

  it.each([
    [undefined, '3,120 of 10,000 neurons used today'],
    ['free', '3,120 of 10,000 neurons used today'],
    ['user', '3,120 of your budget of 10,000 neurons used today'],
    ['course', '3,120 of the course budget of 10,000 neurons used today'],
    ['class', '3,120 of your class budget of 10,000 neurons used today']
  ] as const)('of the source %s names the limit', (source, text) =>
    expect(formatUsed({ ...day, source }, trans)).toBe(text)
  );

  it.each([
    [{}, 'green'],
    [{ billed: 7879 }, 'green'],
    [{ billed: 7880 }, 'amber'],
    [{ running: 6900 }, 'red'],
    [{ closed: true }, 'red'],
    [{ limit: 0 }, 'red']
  ])('with %j has the level %s', (changes, expected) =>
    expect(level({ ...day, ...changes })).toBe(expected)
  );
});

describe('formatStatus', () => {
  it.each([
    [{}, '3,120 / 10,000 neurons'],
    [{ billed: 8000 }, '8,120 / 10,000 neurons · running low'],
    [{ billed: 10000 }, '10,120 / 10,000 neurons · used up'],
    [{ closed: true }, '3,120 / 10,000 neurons · quota used up at Cloudflare'],
    [{ billed: 0, estimated: 0.0123, running: 0 }, '0.012 / 10,000 neurons']
  ])('with %j shows %s', (changes, expected) =>
    expect(formatStatus(state(changes), trans).text).toBe(expected)
  );

  it.each([
    [{}, '320 / 1,000 neurons · class budget'],
    [{ elsewhere: 500 }, '820 / 1,000 neurons · class budget · running low'],
    [{ source: 'user' }, '320 / 1,000 neurons']
  ] as const)('for a class with %j shows %s', (changes, expected) => {
    const student: IState = {
      ...state({ billed: 200, limit: 1000, source: 'class', ...changes }),
      payer: 'class'
    };
    expect(formatStatus(student, trans).text).toBe(expected);
    expect(tooltip(student, trans).includes('class budget')).toBe(
      expected.includes('class budget')
    );
  });

  it.each([
    ['class', 'Class server: budget unknown'],
    ['local', 'No neurons: model on this machine'],
    ['elsewhere', 'No neurons: another server'],
    ['none', 'Workers AI: no account'],
    ['unknown', 'Workers AI: usage unknown']
  ] as const)(
    'without a day and with the billing target %s shows %s',
    (payer, text) =>
      expect(formatStatus({ ...state({}), payer, day: null }, trans)).toEqual({
        level: 'none',
        text
      })
  );

  it('shows the time of the daily reset', () =>
    expect(formatResetTime(day, day.resets - 15125, trans)).toMatch(
      /^Resets at 00:00 UTC \(\d\d:\d\d local time\), in 4 h 12 min\.$/
    ));
});

describe('numbers and names', () => {
  it.each([
    [0, '0'],
    [0.0049, '0.0049'],
    [3.14159, '3.1'],
    [99.96, '100.0'],
    [3119.6, '3,120']
  ])('formats %d as %s', (amount, text) =>
    expect(formatNeurons(amount)).toBe(text)
  );

  it('omits fractions', () => {
    expect(formatInteger(1234567.8)).toBe('1,234,568');
  });
});
