import { TranslationBundle } from '@jupyterlab/translation';

import { joined } from '../live/joined';
import { Sentences } from '../live/sentences';
import { Thresholds } from '../live/thresholds';
import { IDay } from '../protocol';

const trans = {
  __: (text: string, ...values: unknown[]) =>
    text.replace(/%(\d)/g, (_, number) => String(values[Number(number) - 1]))
} as TranslationBundle;

describe('Sentences', () => {
  it('tells each when it is finished, once, without the marks of Markdown', () => {
    const sentences = new Sentences();
    const text = '# Sky\n\nIt is **blue**. Light of 3.5 kinds! And `why`';
    const told: string[][] = [];
    for (let end = 1; end <= text.length; end++) {
      told.push(sentences.next(text.slice(0, end), false));
    }
    told.push(sentences.next(text, true));
    told.push(sentences.next(text, true));
    expect(told.filter(each => each.length)).toEqual([
      ['Sky'],
      ['It is blue.'],
      ['Light of 3.5 kinds!'],
      ['And why']
    ]);
  });

  it('knows the ends of Chinese sentences, which no space follows', () =>
    expect(new Sentences().next('天是蓝的。为什么？因为', false)).toEqual([
      '天是蓝的。',
      '为什么？'
    ]));

  it('tells what is another when an answer begins anew', () => {
    const sentences = new Sentences();
    expect(sentences.next('One. Two. ', false)).toEqual(['One.', 'Two.']);
    expect(sentences.next('Another. ', false)).toEqual(['Another.']);
  });
});

describe('joined', () => {
  const long = 'Light of all colours is scattered by the air. '.repeat(5);

  it.each([
    [['a', 'b'], 'ab'],
    [[long, 'b'], `${long}b`],
    [[`x ${long}`, `${long}b`], `x ${long}b`],
    [[], '']
  ])('joins %j', (texts, wanted) => expect(joined(texts)).toBe(wanted));
});

describe('Thresholds', () => {
  const day: IDay = {
    billed: 0,
    estimated: 0,
    running: 0,
    reserved: 0,
    limit: 100,
    closed: false,
    resets: 0,
    account: null
  };

  it('tells of 80 and 100 per cent as they are passed, and of nothing else', () => {
    const thresholds = new Thresholds(trans);
    const told = [10, 79, 80, 90, 100, 120].map(billed =>
      thresholds.next({ ...day, billed })
    );
    expect(told).toEqual([
      null,
      null,
      '80 percent of today’s neurons are used: 80.0 of 100',
      null,
      'All of today’s neurons are used: 100 of 100',
      null
    ]);
    expect(thresholds.next(day)).toBeNull();
    expect(thresholds.next({ ...day, closed: true })).toContain(
      'closed the day'
    );
  });

  it('does not tell again what was so before', () =>
    expect(new Thresholds(trans).next({ ...day, billed: 85 })).toBeNull());
});
