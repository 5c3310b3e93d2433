import { isOurs, isQuestion } from '../magic';

describe('isQuestion', () => {
  it.each(['%%cfai', '%%cfai ', '%%cfai\nWhy?', '%%cfai\t-m x\nWhy?'])(
    'knows %j',
    source => expect(isQuestion(source)).toBe(true)
  );

  it.each([
    '',
    '%cfai',
    '%%cfai?',
    '%%cfair\nWhy?',
    ' %%cfai',
    'x\n%%cfai\nWhy?',
    '# %%cfai'
  ])('knows that %j is none', source => expect(isQuestion(source)).toBe(false));
});

describe('isOurs', () => {
  it.each(['%%cfai\nWhy?', '%cfai', '  %cfai explain 3'])('knows %j', source =>
    expect(isOurs(source)).toBe(true)
  );

  it.each(['1/0', '%cfair', 'x = %cfai ask Why?'])(
    'knows that %j is not',
    source => expect(isOurs(source)).toBe(false)
  );
});
