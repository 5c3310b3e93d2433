import { isOurs, isQuestion } from '../magic';

describe('isQuestion', () => {
  it.each(['%%cfai', '%%cfai ', '%%cfai\nWhy?', '%%cfai\t-m x\nWhy?'])(
    'accepts %j',
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
  ])('rejects %j', source => expect(isQuestion(source)).toBe(false));
});

describe('isOurs', () => {
  it.each(['%%cfai\nWhy?', '%cfai', '  %cfai explain 3'])(
    'accepts %j',
    source => expect(isOurs(source)).toBe(true)
  );

  it.each(['1/0', '%cfair', 'x = %cfai ask Why?'])('rejects %j', source =>
    expect(isOurs(source)).toBe(false)
  );
});
