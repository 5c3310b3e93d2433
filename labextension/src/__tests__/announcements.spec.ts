import { TranslationBundle } from '@jupyterlab/translation';

import {
  mergeOutputs,
  SentenceSplitter,
  ThresholdAnnouncer
} from '../accessibility/announcements';
import { IDayUsage } from '../protocol';

const trans = {
  __: (text: string, ...values: unknown[]) =>
    text.replace(/%(\d)/g, (_, number) => String(values[Number(number) - 1]))
} as TranslationBundle;

describe('SentenceSplitter', () => {
  it('returns each complete sentence once, without Markdown marks', () => {
    const sentences = new SentenceSplitter();
    const text = '# Sky\n\nIt is **blue**. Light of 3.5 kinds! And `why`';
    const results: string[][] = [];
    for (let end = 1; end <= text.length; end++) {
      results.push(sentences.feed(text.slice(0, end), false));
    }
    results.push(sentences.feed(text, true));
    results.push(sentences.feed(text, true));
    expect(results.filter(each => each.length)).toEqual([
      ['Sky'],
      ['It is blue.'],
      ['Light of 3.5 kinds!'],
      ['And why']
    ]);
  });

  it('splits Chinese sentences, which have no spaces', () =>
    expect(
      new SentenceSplitter().feed('天是蓝的。为什么？因为', false)
    ).toEqual(['天是蓝的。', '为什么？']));

  it('returns only the changed part if an answer restarts', () => {
    const sentences = new SentenceSplitter();
    expect(sentences.feed('One. Two. ', false)).toEqual(['One.', 'Two.']);
    expect(sentences.feed('Another. ', false)).toEqual(['Another.']);
  });
});

describe('mergeOutputs', () => {
  const long = 'Light of all colors is scattered by the air. '.repeat(5);

  it.each([
    [['a', 'b'], 'ab'],
    [[long, 'b'], `${long}b`],
    [[`x ${long}`, `${long}b`], `x ${long}b`],
    [[], '']
  ])('merges %j', (texts, expected) =>
    expect(mergeOutputs(texts)).toBe(expected)
  );
});

describe('ThresholdAnnouncer', () => {
  const day: IDayUsage = {
    billed: 0,
    estimated: 0,
    running: 0,
    reserved: 0,
    limit: 100,
    closed: false,
    resets: 0,
    account: null
  };

  it('announces only the thresholds of 80 and 100 percent', () => {
    const announcer = new ThresholdAnnouncer(trans);
    const lines = [10, 79, 80, 90, 100, 120].map(billed =>
      announcer.update({ ...day, billed })
    );
    expect(lines).toEqual([
      null,
      null,
      "80 percent of today's neurons are used: 80.0 of 100",
      null,
      "All of today's neurons are used: 100 of 100",
      null
    ]);
    expect(announcer.update(day)).toBeNull();
    expect(announcer.update({ ...day, closed: true })).toContain(
      'Cloudflare reports'
    );
  });

  it('announces the thresholds of a class budget', () => {
    const announcer = new ThresholdAnnouncer(trans);
    const student: IDayUsage = { ...day, source: 'class' };
    const lines = [10, 80, 100].map(elsewhere =>
      announcer.update({ ...student, elsewhere })
    );
    expect(lines).toEqual([
      null,
      '80 percent of your class budget is used: 80.0 of 100',
      'All of your class budget is used: 100 of 100'
    ]);
    expect(announcer.update(student)).toBeNull();
  });

  it('does not announce a threshold that was passed before the start', () =>
    expect(
      new ThresholdAnnouncer(trans).update({ ...day, billed: 85 })
    ).toBeNull());
});
